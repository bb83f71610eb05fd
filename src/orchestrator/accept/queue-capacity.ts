import { countQueued } from "../../store/jobs/capacity.ts";
import type { Store } from "../../store/store.ts";

/** Maximum age of a count, in ms, and the maximum share of time for counting when a count takes longer. */
const countMaxAgeMs = 250;
const countingShare = 0.05;

/** The limit of queued jobs in the store, and their number. */
export interface QueueCapacity {
  readonly limit: number;
  /** The number of queued jobs, at most `limit`, a fraction of a second old. Rejects as the store does. */
  waiting(): Promise<number>;
  /** Counts a job that was just stored, until the next real count. */
  add(): void;
}

/**
 * Creates the cached count of queued jobs. The count is bounded by the limit, read from an index, and cached
 * for a moment, so that it costs almost nothing at any rate of jobs. Several hosts may each exceed the limit
 * by the jobs that they accept within that moment: the limit bounds the store, and need not be exact.
 */
export function createQueueCapacity(store: Store, limit: number): QueueCapacity {
  let counting: Promise<number> | null = null;
  let counted = 0;
  let freshUntil = Number.NEGATIVE_INFINITY;

  const count = async () => {
    const begunAt = performance.now();
    try {
      counted = await countQueued(store, limit);
      const now = performance.now();
      freshUntil = now + Math.max(countMaxAgeMs, (now - begunAt) / countingShare);
      return counted;
    } finally {
      counting = null;
    }
  };

  return {
    limit,
    async waiting() {
      if (performance.now() < freshUntil) return Math.min(counted, limit);
      counting ??= count();
      return counting;
    },
    add() {
      counted += 1;
    },
  };
}
