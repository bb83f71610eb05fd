import { Worker } from "node:worker_threads";

/**
 * How long a host's lease is kept while its event loop is held, in ms. It is the named bound: a handler may hold the loop for so long
 * without any attempt running twice. What holds it longer is a defect that the host does not come out of, and others take over.
 */
export const heldLoopMaxMs = 10 * 60_000;

/** What the worker is started with. */
export interface LeaseKeeperData {
  readonly url: string;
  readonly hostId: string;
  /** How old the last renewal is before the worker renews, in ms. */
  readonly overdueMs: number;
  /** {@link keeperCells}. */
  readonly cells: SharedArrayBuffer;
}

/** What both threads see: when the loop renewed last (ns of the monotonic clock; 0: the lease must run out), and how often the worker did. */
export function keeperCells(shared: SharedArrayBuffer): {
  readonly renewedAt: number;
  readonly count: number;
  view: BigInt64Array;
} {
  return { renewedAt: 0, count: 1, view: new BigInt64Array(shared) };
}

/** Renews a host's lease while the event loop of this process cannot. */
export interface LeaseKeeper {
  /** The loop has renewed the lease. */
  renewed(): void;
  /** The loop could not renew it, though it ran: then the lease is to run out, as others are to see. */
  failed(): void;
  /** How often the lease was renewed here since this was asked last. */
  takeCount(): number;
  stop(): Promise<void>;
}

/**
 * Starts a thread with a connection of its own, which it opens only when a renewal is overdue: a guest, a producer or a large file can
 * hold up the event loop, and with it the timer and the connections that the lease depends on.
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
