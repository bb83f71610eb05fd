import type { Context } from "../context.ts";

/** An interval of this many polls is a break: the process, or the whole host, was stopped in between. */
const breakPolls = 3;

/** Records the time since which a guest has been observed without a break. */
export interface Observation {
  /**
   * Runs an observation, and returns the time (ms since the epoch) since which no observation failed, was
   * slow or overdue. While the database was unavailable or the process was stopped, no heartbeat of a guest
   * could arrive: its silence counts from the end of that break.
   */
  observe<Observed>(work: () => Promise<Observed>): Promise<{ observed: Observed; observedSinceAt: number }>;
}

/** Creates the observation of one driver; it begins with the process. `now` is for tests. */
export function createObservation(
  context: { readonly startedAt: number; readonly limits: Pick<Context["limits"], "pollMs"> },
  now: () => number = Date.now,
): Observation {
  const breakMs = breakPolls * context.limits.pollMs;
  let observedSinceAt = context.startedAt;
  let observedAt: number | null = null;
  let hasFailed = false;
  return {
    async observe(work) {
      const begunAt = now();
      const isOverdue = observedAt !== null && begunAt - observedAt > breakMs;
      const isBroken = hasFailed || isOverdue;
      hasFailed = true;
      const observed = await work();
      hasFailed = false;
      observedAt = now();
      if (isBroken || observedAt - begunAt > breakMs) observedSinceAt = observedAt;
      return { observed, observedSinceAt };
    },
  };
}
