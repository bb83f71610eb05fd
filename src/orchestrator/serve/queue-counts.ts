import { countQueuedByGroup, type QueueCount } from "../../store/jobs/capacity.ts";
import type { Store } from "../../store/store.ts";

/** Counting that takes no longer than this, in ms, is done whenever somebody asks. */
const quickMs = 10;

/** How much of the time may go into counting where that takes longer. */
const countingShare = 0.05;

/** How many jobs wait, by label and image; of a long queue, how many did a short while ago. */
export type QueueCounts = () => Promise<readonly QueueCount[]>;

/**
 * Creates the counts of what waits in a store. Counting 100,000 jobs takes tens of milliseconds of a database that has
 * better things to do, however many dashboards ask: then the last answer does for twenty times as long as it took. `now` is
 * for tests.
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
