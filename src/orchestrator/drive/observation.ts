import type { Context } from "../context.ts";

/** Looks this many polls apart are a break: the process, or the whole host, was stopped in between. */
const breakPolls = 3;

/** Keeps in mind since when something has been looked at without a break. */
export interface Observation {
  /**
   * Looks, and tells since when (ms since the epoch) no look failed, took long or was long overdue. While the database was
   * away or the process was stopped, no guest could be heard: its silence counts from the end of that.
   */
  look<Seen>(work: () => Promise<Seen>): Promise<{ seen: Seen; observedSinceAt: number }>;
}

/** The sight of one driver; it begins with the process. `now` is for tests. */
export function createObservation(
  context: { readonly startedAt: number; readonly limits: Pick<Context["limits"], "pollMs"> },
  now: () => number = Date.now,
): Observation {
  const breakMs = breakPolls * context.limits.pollMs;
  let observedSinceAt = context.startedAt;
  let lookedAt: number | null = null;
  let hasFailed = false;
  return {
    async look(work) {
      const begunAt = now();
      const isOverdue = lookedAt !== null && begunAt - lookedAt > breakMs;
      const isBroken = hasFailed || isOverdue;
      hasFailed = true;
      const seen = await work();
      hasFailed = false;
      lookedAt = now();
      if (isBroken || lookedAt - begunAt > breakMs) observedSinceAt = lookedAt;
      return { seen, observedSinceAt };
    },
  };
}
