import { countQueued } from "../../store/jobs/capacity.ts";
import type { Store } from "../../store/store.ts";

/** How old a count may be, in ms, and how much of the time may go into counting where that takes longer. */
const countMaxAgeMs = 250;
const countingShare = 0.05;

/** How many jobs may wait in the store, and how many do. */
export interface QueueCapacity {
  readonly limit: number;
  /** How many jobs wait, at most `limit` of them, a fraction of a second ago. Rejects as the store does. */
  waiting(): Promise<number>;
  /** Counts one that was just put into the store, until the next real count. */
  add(): void;
}

/**
 * Creates the view of how full the store is. The count is bounded by the limit, read from an index, and kept for a
 * moment, so that it costs next to nothing however fast jobs come. Several hosts may each overshoot the limit by what they
 * take in within that moment: it is there to bound the store, and not a promise to the last job.
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
