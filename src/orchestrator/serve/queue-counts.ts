import { countQueuedByGroup, type QueueCount } from "../../store/jobs/capacity.ts";
import type { Store } from "../../store/store.ts";

/** A count that takes at most this time, in ms, is made at each request. */
const quickMs = 10;

/** Maximum share of time for counting when a count takes longer. */
const countingShare = 0.05;

/** The number of queued jobs by label and image; for a long queue, a recent number. */
export type QueueCounts = () => Promise<readonly QueueCount[]>;

/**
 * Creates the counts of queued jobs. Counting 100,000 jobs takes tens of milliseconds of the database, for
 * each dashboard: then the last count is used for twenty times as long as it took. `now` is for tests.
 */
export function createQueueCounts(store: Store, now: () => number = () => performance.now()): QueueCounts {
  let counting: Promise<readonly QueueCount[]> | null = null;
  let counted: readonly QueueCount[] = [];
  let freshUntil = Number.NEGATIVE_INFINITY;
  const count = async () => {
    const begunAt = now();
    try {
      counted = await countQueuedByGroup(store);
      const tookMs = now() - begunAt;
      if (tookMs > quickMs) freshUntil = begunAt + tookMs + tookMs / countingShare;
      return counted;
    } finally {
      counting = null;
    }
  };
  return async () => {
    if (now() < freshUntil) return counted;
    counting ??= count();
    return counting;
  };
}
