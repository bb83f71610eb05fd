import { join } from "node:path";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { Log } from "../../core/log.ts";
import type { RunCommand } from "../../host/command.ts";
import { formatBytes, freeBytes, freeBytesOfDataset } from "../../host/files/disk-space.ts";
import type { Store } from "../../store/store.ts";
import { startLoop } from "../loop.ts";

/** How often free space is looked at, in ms: the reserve must outlast what the running jobs write in between. */
const lookIntervalMs = 2_000;

/** How long a host starts nothing after a job met a full disk in spite of the guard, in ms. */
const reportHoldMs = 60_000;

/** How much more must be free than when that happened for it to be over at once, in bytes. */
const reportGainBytes = 16 * 1024 * 1024;

/** More than the reserve by this factor must be free before jobs start again, so that it does not flap. */
const resumeFactor = 1.1;

/** Keeps jobs from being started on a disk that is nearly full. */
export interface DiskGuard {
  /** One sentence with the numbers and what to do, while no job may start; else null. */
  pausedReason(): string | null;
  /** As last looked at; null before the first look. */
  freeBytes(): number | null;
  /** Measures, and decides again. */
  look(): Promise<void>;
  /** A job met a full disk: nothing starts for a while, whatever the reserve is. */
  reportFull(problem: string): void;
  /** Calls `listener` each time a pause begins (true) or ends (false). */
  onChange(listener: (isPaused: boolean) => void): () => void;
}

/** What a {@link DiskGuard} needs. */
export interface DiskGuardOptions {
  readonly config: Pick<OrchestratorConfig, "dataDir" | "diskReserveBytes">;
  /** The ZFS dataset that guests' disks are in, where that is not the data directory's business. */
  readonly dataset?: string | null;
  readonly log: Log;
  /** Runs `zfs`; the default is a process. */
  readonly run?: RunCommand;
  /** For tests. Ms since the epoch. */
  readonly now?: () => number;
}

interface Measurement {
  readonly path: string;
  readonly free: number;
}

/** Whether jobs are held back now, given whether they were before. */
export function isBelowReserve(wasBelow: boolean, free: number, reserve: number): boolean {
  return free < (wasBelow ? reserve * resumeFactor : reserve);
}

/** Makes a guard that has not looked yet. */
export function createDiskGuard(options: DiskGuardOptions): DiskGuard {
  const { config, dataset = null, log, run, now = Date.now } = options;
  const listeners = new Set<(isPaused: boolean) => void>();
  let measured: Measurement | null = null;
  let isBelow = false;
  let report: { problem: string; until: number; free: number } | null = null;
  let wasPaused = false;

  const pausedReason = () => {
    if (isBelow && measured) return reserveSentence(measured, config.diskReserveBytes);
    return report && now() < report.until && (measured?.free ?? 0) < report.free + reportGainBytes
      ? reportSentence(report.problem)
      : null;
  };

  const reportChange = () => {
    const reason = pausedReason();
    if ((reason !== null) === wasPaused) return;
    wasPaused = reason !== null;
    const facts = { freeBytes: measured?.free ?? null };
    if (reason !== null) log.warn(facts, `starting no jobs: ${reason}`);
    else log.info(facts, "there is space on the disk again: starting jobs");
    for (const listener of listeners) listener(wasPaused);
  };

  return {
    pausedReason,
    freeBytes: () => measured?.free ?? null,
    async look() {
      measured = await measureLeast(config.dataDir, { dataset, run });
      isBelow = isBelowReserve(isBelow, measured.free, config.diskReserveBytes);
      reportChange();
    },
    reportFull(problem) {
      report = { problem, until: now() + reportHoldMs, free: measured?.free ?? 0 };
      reportChange();
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * Makes a guard that looks again and again until `closing`. The first look is over when this resolves, before any job can
 * be claimed; when a pause begins or ends, every loop looks again.
 */
export async function startDiskGuard(
  parts: DiskGuardOptions & { readonly store: Pick<Store, "wake">; readonly closing: AsyncDisposableStack },
): Promise<DiskGuard> {
  const guard = createDiskGuard(parts);
  await guard.look();
  guard.onChange(() => parts.store.wake({ kind: "all" }));
  const loop = startLoop({
    name: "disk guard",
    log: parts.log,
    run: async () => {
      await guard.look();
      return lookIntervalMs;
    },
  });
  parts.closing.defer(() => loop.stop());
  return guard;
}

/** The parts of the data directory that jobs fill may be mounts of their own, and the dataset another pool: the fullest counts. */
async function measureLeast(
  dataDir: string,
  { dataset, run }: { dataset: string | null; run: RunCommand | undefined },
): Promise<Measurement> {
  const paths = [dataDir, join(dataDir, "guests"), join(dataDir, "state")];
  const all = await Promise.all([
    ...paths.map(async (path) => ({ path, free: await freeBytes(path) })),
    ...(dataset === null ? [] : [freeBytesOfDataset(dataset, run).then((free) => ({ path: dataset, free }))]),
  ]);
  return all.reduce((least, one) => (one.free < least.free ? one : least));
}

function reserveSentence({ path, free }: Measurement, reserve: number): string {
  return `Only ${formatBytes(free)} are free in ${path}, less than the reserve of ${formatBytes(reserve)} (DISK_RESERVE_MB): free space there until ${formatBytes(reserve * resumeFactor)} are free.`;
}

function reportSentence(problem: string): string {
  return `A guest could not be made for want of space, so this host waits a minute, or for more space, before it tries again: ${problem}`;
}
