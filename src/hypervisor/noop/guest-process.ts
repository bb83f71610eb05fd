import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { GuestPaths } from "./guest-files.ts";
import { placeInside, readIfPresent } from "./guest-files.ts";

/** Every process of a guest has this variable, with the guest's directory as its value. */
const MARK_VARIABLE = "SOLSTICE_NOOP_GUEST";

/** Where the runner is in a guest; see src/guest. */
export const RUNNER_FILE = "/run/solstice/runner.sh";
const CONF_FILE = "/run/solstice/runner.conf";

const KILL_ROUNDS = 500;
const KILL_ROUND_MS = 10;

/**
 * What a guest's boot does: the runner, then its aftermath, and then everything ends. A TERM is for the runner; this
 * shell goes on to say how it ended.
 */
const POWER_ON = `trap : TERM
trap '' XFSZ
ulimit -f "$4"
echo $$ >"$1"
sh "$3" run
code=$?
sh "$3" aftermath
echo $code >"$2"
kill -KILL 0`;

/** `ulimit -f` of POSIX counts in blocks of 512 bytes. */
const blocksPerGib = 2 * 1024 * 1024;

/** How {@link spawnGuest} starts a guest. */
export interface SpawnOptions {
  /**
   * No file that the guest writes grows beyond this, in GiB, its output included: writing more fails as on a full disk. In a
   * virtual machine the disk itself is the bound.
   */
  readonly diskGb: number;
  /** PATH of the runner and its steps. */
  readonly searchPath: string;
  /** Called once when the guest has ended, perhaps before `spawnGuest` resolves. */
  readonly onExit: () => void;
}

/**
 * Starts the guest's runner in a session of its own, where it outlives this process. The environment is made from
 * nothing: a job must not see the secrets in ours.
 */
export async function spawnGuest(paths: GuestPaths, options: SpawnOptions): Promise<ChildProcess> {
  const console = await open(paths.console, "w", 0o600);
  try {
    const blocks = String(options.diskGb * blocksPerGib);
    const runner = placeInside(paths.directory, RUNNER_FILE);
    const child = spawn(
      "/bin/sh",
      ["-c", POWER_ON, "solstice-guest", paths.pid, paths.exit, runner, blocks],
      {
        cwd: paths.work,
        detached: true,
        stdio: ["ignore", console.fd, console.fd],
        env: guestEnvironment(paths, options.searchPath),
      },
    );
    child.once("exit", options.onExit);
    child.unref();
    await once(child, "spawn");
    return child;
  } finally {
    await console.close();
  }
}

/** The environment of a guest's processes, made from nothing; each carries the guest's mark. */
export function guestEnvironment(paths: GuestPaths, searchPath: string): Record<string, string> {
  return {
    PATH: searchPath,
    HOME: paths.work,
    TMPDIR: paths.work,
    LANG: "C.UTF-8",
    SOLSTICE_CONF: placeInside(paths.directory, CONF_FILE),
    SOLSTICE_WORK: paths.work,
    [MARK_VARIABLE]: paths.directory,
  };
}

/** The process group of a guest that runs, also one that another process of ours started; else null. Linux only. */
export async function findRunning(paths: GuestPaths): Promise<number | null> {
  const pid = Number.parseInt((await readIfPresent(paths.pid)) ?? "", 10);
  if (!Number.isSafeInteger(pid) || pid <= 1) return null;
  return hasMark(pid, paths.directory) ? pid : null;
}

/** Sends a signal to all of a process group; one that is gone is as good as told. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/**
 * Kills every process of a guest, also those that steps moved into sessions of their own, and waits until all are gone.
 * They are known by the mark in their environment, which a recycled process id does not have. A process that is just
 * becoming another program shows no environment for a moment, so only the second look without any is believed.
 */
export async function killAll(paths: GuestPaths): Promise<void> {
  let looksWithoutAny = 0;
  for (let round = 1; round <= KILL_ROUNDS; round += 1) {
    const pids = findMarked(paths.directory);
    looksWithoutAny = pids.length === 0 ? looksWithoutAny + 1 : 0;
    if (looksWithoutAny === 2) return;
    for (const pid of pids) killOne(pid);
    await delay(KILL_ROUND_MS);
  }
  throw new Error(`processes of ${paths.directory} do not end`);
}

function killOne(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

/**
 * The processes that carry a guest's mark. Reads synchronously: the files of `/proc` need no disk, and 130 processes take 2 ms of a
 * processor, where the thread pool would take 8 ms.
 */
function findMarked(directory: string): number[] {
  const names = existsSync("/proc") ? readdirSync("/proc") : [];
  const pids = names.filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number);
  return pids.filter((pid) => hasMark(pid, directory));
}

/** A process that has ended but was not waited for has an empty environment, so it does not count. */
function hasMark(pid: number, directory: string): boolean {
  return environmentOf(pid).split("\0").includes(`${MARK_VARIABLE}=${directory}`);
}

/** The environment of a process, as the kernel shows it; empty for a process that has ended. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}
