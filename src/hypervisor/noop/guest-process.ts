import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { GuestPaths } from "./guest-files.ts";
import { placeInside, readIfPresent } from "./guest-files.ts";

/** Variable in every process of a guest; its value is the guest's directory. */
const MARK_VARIABLE = "SOLSTICE_NOOP_GUEST";

/** Path of the runner in a guest; see src/guest. */
export const RUNNER_FILE = "/run/solstice/runner.sh";
const CONF_FILE = "/run/solstice/runner.conf";

const KILL_ROUNDS = 500;
const KILL_ROUND_MS = 10;

/**
 * Boot script of a guest: the runner, then its aftermath, then the end. A TERM is meant for the runner; this shell
 * continues, and records how the runner ended.
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

/** Options of {@link spawnGuest}. */
export interface SpawnOptions {
  /**
   * Largest size of a file that the guest writes, in GiB, its output included: a larger file fails as on a full disk.
   * In a virtual machine the disk itself is the limit.
   */
  readonly diskGb: number;
  /** PATH of the runner and its steps. */
  readonly searchPath: string;
  /** Called once when the guest has ended, possibly before `spawnGuest` resolves. */
  readonly onExit: () => void;
}

/**
 * Starts the guest's runner in a session of its own, where it outlives this process. The environment is created from
 * nothing, because a job must not get the orchestrator's secrets.
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

/** The environment of a guest's processes, created from nothing; each has the guest's mark. */
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

/** Returns the process group of a running guest, also one that another process of ours started; else null. Linux only. */
export async function findRunning(paths: GuestPaths): Promise<number | null> {
  const pid = Number.parseInt((await readIfPresent(paths.pid)) ?? "", 10);
  if (!Number.isSafeInteger(pid) || pid <= 1) return null;
  return hasMark(pid, paths.directory) ? pid : null;
}

/** Sends a signal to a process group. A group that no longer exists is ignored. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/**
 * Kills every process of a guest, also those that steps moved into sessions of their own, and waits until all have
 * ended. The mark in their environment identifies them; a recycled process id does not have it. During exec a process
 * shows no environment for a moment, so only a second scan without any process counts.
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
    // The process ended by itself.
  }
}

/**
 * Lists the processes with a guest's mark. Reads synchronously: the files of `/proc` need no disk, and 130 processes
 * take 2 ms of processor time; the thread pool would take 8 ms.
 */
function findMarked(directory: string): number[] {
  const names = existsSync("/proc") ? readdirSync("/proc") : [];
  const pids = names.filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number);
  return pids.filter((pid) => hasMark(pid, directory));
}

/** True for a process with the mark. A zombie has an empty environment, so it does not count. */
function hasMark(pid: number, directory: string): boolean {
  return environmentOf(pid).split("\0").includes(`${MARK_VARIABLE}=${directory}`);
}

/** Returns the environment of a process from the kernel; empty for a process that has ended. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}
