import { Worker } from "node:worker_threads";

/**
 * Time for which a host's lease is kept while its event loop is blocked, in ms. A handler may block the loop for this
 * long without any attempt running twice. A loop that is blocked longer is a defect that the host does not recover
 * from, and other hosts take over.
 */
export const heldLoopMaxMs = 10 * 60_000;

/** Data for the worker's start. */
export interface LeaseKeeperData {
  readonly url: string;
  readonly hostId: string;
  /** Age of the last renewal at which the worker renews, in ms. */
  readonly overdueMs: number;
  /** {@link keeperCells}. */
  readonly cells: SharedArrayBuffer;
}

/**
 * The memory that both threads share: the time of the loop's last renewal (ns of the monotonic clock; 0: the lease must
 * expire), and the number of renewals by the worker.
 */
export function keeperCells(shared: SharedArrayBuffer): {
  readonly renewedAt: number;
  readonly count: number;
  view: BigInt64Array;
} {
  return { renewedAt: 0, count: 1, view: new BigInt64Array(shared) };
}

/** Renews a host's lease while the event loop of this process is blocked. */
export interface LeaseKeeper {
  /** Reports that the loop renewed the lease. */
  renewed(): void;
  /** Reports that the loop runs but could not renew the lease: then the lease must expire, as other hosts expect. */
  failed(): void;
  /** Number of renewals by the worker since the last call. */
  takeCount(): number;
  stop(): Promise<void>;
}

/**
 * Starts a thread with its own connection, which it opens only when a renewal is overdue: a guest, a producer or a
 * large file can block the event loop, and with it the timer and the connections that the lease depends on.
 */
export function startLeaseKeeper(options: Omit<LeaseKeeperData, "cells">): LeaseKeeper {
  const cells = new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT);
  const { view, renewedAt, count } = keeperCells(cells);
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const workerData: LeaseKeeperData = { ...options, cells };
  const worker = new Worker(new URL(`./lease-worker.${extension}`, import.meta.url), { workerData });
  worker.unref();
  return {
    renewed: () => void Atomics.store(view, renewedAt, process.hrtime.bigint()),
    failed: () => void Atomics.store(view, renewedAt, 0n),
    takeCount: () => Number(Atomics.exchange(view, count, 0n)),
    async stop() {
      Atomics.store(view, renewedAt, 0n);
      await worker.terminate();
    },
  };
}
