import { join } from "node:path";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { Log } from "../../core/log.ts";
import type { RunCommand } from "../../host/command.ts";
import { formatBytes, freeBytes, freeBytesOfDataset } from "../../host/files/disk-space.ts";
import type { Store } from "../../store/store.ts";
import { startLoop } from "../loop.ts";

/**
 * Milliseconds between measurements of free space: the reserve must last for the writes of running jobs in
 * between.
 */
const measureIntervalMs = 2_000;

/** Milliseconds for which a host starts no jobs after a job failed on a full disk. */
const reportHoldMs = 60_000;

/** Additional free bytes since that failure that end the pause at once. */
const reportGainBytes = 16 * 1024 * 1024;

/** Jobs start again when the free space exceeds the reserve by this factor, which prevents flapping. */
const resumeFactor = 1.1;

/** Keeps jobs from starting on a disk that is nearly full. */
export interface DiskGuard {
  /** One sentence with the numbers and the remedy, while no job may start; else null. */
  pausedReason(): string | null;
  /** Free bytes at the last measurement; null before the first. */
  freeBytes(): number | null;
  /** Measures, and decides again. */
  measure(): Promise<void>;
  /** Reports that a job failed on a full disk: no job starts for a while, with any reserve. */
  reportFull(problem: string): void;
  /** Calls `listener` each time a pause begins (true) or ends (false). */
  onChange(listener: (isPaused: boolean) => void): () => void;
}

/** The dependencies of a {@link DiskGuard}. */
export interface DiskGuardOptions {
  readonly config: Pick<OrchestratorConfig, "dataDir" | "diskReserveBytes">;
  /** The ZFS dataset with the guests' disks, if they are outside the data directory. */
  readonly dataset?: string | null;
  readonly log: Log;
  /** Runs `zfs`; default: as a process. */
  readonly run?: RunCommand;
  /** For tests. Ms since the epoch. */
  readonly now?: () => number;
}

interface Measurement {
  readonly path: string;
  readonly free: number;
}

/** True when jobs must be paused now, given whether they were paused before. */
export function isBelowReserve(wasBelow: boolean, free: number, reserve: number): boolean {
  return free < (wasBelow ? reserve * resumeFactor : reserve);
}

/** Creates a guard without a measurement. */
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
    else log.info(facts, "disk space is sufficient again: starting jobs");
    for (const listener of listeners) listener(wasPaused);
  };

  return {
    pausedReason,
    freeBytes: () => measured?.free ?? null,
    async measure() {
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
 * Creates a guard that measures repeatedly until `closing`. Resolves after the first measurement, before any
 * job can be claimed; the beginning and the end of a pause wake every loop.
 */
export async function startDiskGuard(
  parts: DiskGuardOptions & { readonly store: Pick<Store, "wake">; readonly closing: AsyncDisposableStack },
): Promise<DiskGuard> {
  const guard = createDiskGuard(parts);
  await guard.measure();
  guard.onChange(() => parts.store.wake({ kind: "all" }));
  const loop = startLoop({
    name: "disk guard",
    log: parts.log,
    run: async () => {
      await guard.measure();
      return measureIntervalMs;
    },
  });
  parts.closing.defer(() => loop.stop());
  return guard;
}

/**
 * The fullest of these counts: the parts of the data directory that jobs fill may be separate mounts, and the
 * dataset may be in another pool.
 */
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
  return `A guest could not be created because the disk is full; this host retries after a minute, or when there is more space: ${problem}`;
}
