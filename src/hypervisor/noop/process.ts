import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import {
  type DirectoryEntry,
  type DomainEntry,
  emptyGuestInventory,
  type GuestInventory,
} from "../../core/audit/inventories.ts";
import { errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { guestName } from "../../core/job/job.ts";
import type { ShellOrder } from "../../core/job/shell-order.ts";
import type { Log } from "../../core/log.ts";
import { hasErrorCode } from "../../host/error-code.ts";
import { makeDirectory, passableMode } from "../../host/files/make-directory.ts";
import { readPart } from "../../host/files/read-part.ts";
import { guestsDirectory, readGuestDirectories } from "../guest-directories.ts";
import type { GuestPower, GuestShell, GuestSpec, Hypervisor } from "../hypervisor.ts";
import {
  findGuest,
  type GuestPaths,
  guestPaths,
  readDiskGb,
  readIfPresent,
  removeFiles,
  writeGuest,
} from "./guest-files.ts";
import { findRunning, killAll, signalGroup, spawnGuest } from "./guest-process.ts";
import { openProcessShell } from "./guest-shell.ts";

const DEFAULT_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Options of {@link createProcessHypervisor}. */
export interface ProcessOptions {
  readonly dataDir: string;
  readonly ownerId: string;
  readonly log: Log;
  /** PATH of the runner and its steps; default: the usual directories. */
  readonly searchPath?: string;
}

interface ProcessHost {
  readonly guestsDir: string;
  readonly ownerId: string;
  readonly searchPath: string;
  /** Running guests that this process started. */
  readonly children: Map<string, ChildProcess>;
  readonly report: (jobId: string) => void;
}

/**
 * Creates a backend for development: its "guests" are child processes that run the real runner in a directory, without
 * any isolation. They outlive this process and are found again (on Linux, through /proc). Notifications come only for
 * guests that this object started.
 */
export function createProcessHypervisor(options: ProcessOptions): Hypervisor {
  const listeners = new Set<(jobId: string | null) => void>();
  const host: ProcessHost = {
    guestsDir: guestsDirectory(options.dataDir),
    ownerId: options.ownerId,
    searchPath: options.searchPath ?? DEFAULT_SEARCH_PATH,
    children: new Map(),
    report: (jobId) => {
      for (const listener of listeners) listener(jobId);
    },
  };
  return {
    backend: "noop",
    async connect() {},
    async ensureFirewall() {},
    async removeFirewall() {},
    async prepare() {
      makeDirectory(host.guestsDir, passableMode);
      options.log.warn({}, "jobs run as processes of this host, without any isolation: for development only");
    },
    runnerHost: async () => "127.0.0.1",
    create: (spec) => orFail(`${guestName(spec.jobId)} cannot be created`, () => createGuest(host, spec)),
    start: (jobId) => orFail(`${guestName(jobId)} cannot start`, () => startGuest(host, jobId)),
    power: (jobId) => orFail(`The state of ${guestName(jobId)} is unknown`, () => readPower(host, jobId)),
    requestShutdown: (jobId) =>
      orFail(`${guestName(jobId)} cannot be shut down`, () => shutdownGuest(host, jobId)),
    destroy: (jobId) => orFail(`${guestName(jobId)} cannot be stopped`, () => destroyGuest(host, jobId)),
    remove: (jobId) => orFail(`${guestName(jobId)} cannot be removed`, () => removeGuest(host, jobId)),
    listInventory: () => orFail("Guests cannot be listed", () => listInventory(host)),
    readConsole: (jobId, offset, maxBytes) =>
      readPart(guestPaths(host.guestsDir, jobId).console, offset, maxBytes),
    openShell: (jobId, order) =>
      orFail(`${guestName(jobId)} cannot be entered`, () => openShell(host, jobId, order)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      listeners.clear();
    },
  };
}

async function createGuest(host: ProcessHost, spec: GuestSpec): Promise<void> {
  const paths = guestPaths(host.guestsDir, spec.jobId);
  const found = await findGuest(paths, host.ownerId);
  const name = guestName(spec.jobId);
  if (found.kind === "foreign") {
    throw new SolsticeError("already_exists", `${paths.directory} belongs to another installation.`);
  }
  if (found.kind === "ours") {
    if (found.attempt === spec.attempt) return;
    if (found.attempt > spec.attempt) {
      const text = `A guest ${name} of attempt ${found.attempt} exists; attempt ${spec.attempt} is outdated.`;
      throw new SolsticeError("already_exists", text);
    }
  }
  await removeGuest(host, spec.jobId);
  await writeGuest(paths, spec, host.ownerId);
}

async function startGuest(host: ProcessHost, jobId: string): Promise<void> {
  const paths = guestPaths(host.guestsDir, jobId);
  if ((await findGuest(paths, host.ownerId)).kind !== "ours") {
    throw new SolsticeError("hypervisor_failed", `There is no guest ${guestName(jobId)} to start.`);
  }
  if (await isRunning(host, jobId)) return;
  // Processes of an earlier power cycle, or started by a process of ours that died before it recorded them.
  await killAll(paths);
  await rm(paths.exit, { force: true });
  const child = await spawnGuest(paths, {
    diskGb: await readDiskGb(paths),
    searchPath: host.searchPath,
    onExit: () => {
      host.children.delete(jobId);
      host.report(jobId);
    },
  });
  if (child.exitCode === null && child.signalCode === null) host.children.set(jobId, child);
  host.report(jobId);
}

async function readPower(host: ProcessHost, jobId: string): Promise<GuestPower> {
  const paths = guestPaths(host.guestsDir, jobId);
  const found = await findGuest(paths, host.ownerId);
  if (found.kind === "none" || found.kind === "foreign") return "absent";
  if (await isRunning(host, jobId)) return "running";
  const wasStarted = (await readIfPresent(paths.pid)) !== null;
  const saidHow = (await readIfPresent(paths.exit)) !== null;
  return wasStarted && !saidHow ? "crashed" : "stopped";
}

async function isRunning(host: ProcessHost, jobId: string): Promise<boolean> {
  return host.children.has(jobId) || (await findRunning(guestPaths(host.guestsDir, jobId))) !== null;
}

async function shutdownGuest(host: ProcessHost, jobId: string): Promise<void> {
  const paths = guestPaths(host.guestsDir, jobId);
  if ((await findGuest(paths, host.ownerId)).kind !== "ours") return;
  const pid = host.children.get(jobId)?.pid ?? (await findRunning(paths));
  if (pid !== null) signalGroup(pid, "SIGTERM");
}

async function destroyGuest(host: ProcessHost, jobId: string): Promise<void> {
  const paths = guestPaths(host.guestsDir, jobId);
  if ((await findGuest(paths, host.ownerId)).kind !== "ours") return;
  if (await isRunning(host, jobId)) await writeFile(paths.exit, "destroyed\n");
  await cutPower(host, jobId, paths);
}

async function openShell(host: ProcessHost, jobId: string, order: ShellOrder): Promise<GuestShell> {
  const paths = guestPaths(host.guestsDir, jobId);
  if ((await findGuest(paths, host.ownerId)).kind !== "ours" || !(await isRunning(host, jobId))) {
    throw new SolsticeError("hypervisor_failed", `There is no guest ${guestName(jobId)} to enter.`);
  }
  return openProcessShell(paths, order, host.searchPath);
}

async function cutPower(host: ProcessHost, jobId: string, paths: GuestPaths): Promise<void> {
  const child = host.children.get(jobId);
  // The child does not keep this process alive (see spawnGuest). A process that only waits here would end before the child.
  child?.ref();
  const exited = child && once(child, "exit");
  if (child?.pid !== undefined) signalGroup(child.pid, "SIGKILL");
  await killAll(paths);
  await exited;
}

async function removeGuest(host: ProcessHost, jobId: string): Promise<void> {
  const paths = guestPaths(host.guestsDir, jobId);
  const found = await findGuest(paths, host.ownerId);
  if (found.kind === "foreign" || found.kind === "none") return;
  await cutPower(host, jobId, paths);
  await removeFiles(paths);
}

/** Every guest is a directory here, so a directory with another owner's mark is skipped with all its files. */
async function listInventory(host: ProcessHost): Promise<GuestInventory> {
  const domains: DomainEntry[] = [];
  const directories: DirectoryEntry[] = [];
  for (const directory of await readGuestDirectories(host.guestsDir)) {
    const { jobId } = directory;
    const found = await findGuest(guestPaths(host.guestsDir, jobId), host.ownerId);
    if (found.kind === "none" || found.kind === "foreign") continue;
    directories.push({ ...directory, macAddress: null });
    if (found.kind !== "ours") continue;
    const power = await readPower(host, jobId);
    domains.push({ name: guestName(jobId), jobId, attempt: found.attempt, power, needs: [] });
  }
  return { ...emptyGuestInventory, domains, directories };
}

async function orFail<T>(doing: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (isSolsticeError(error)) throw error;
    const isFull = hasErrorCode(error, "ENOSPC");
    const code = isFull ? "disk_full" : "hypervisor_failed";
    const advice = isFull ? { remedy: "Free space, or set another data directory." } : {};
    throw new SolsticeError(code, `${doing}: ${errorText(error)}.`, { ...advice, cause: error });
  }
}
