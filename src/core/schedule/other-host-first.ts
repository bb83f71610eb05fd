import type { Job } from "../job/job.ts";

/**
 * How long a job that goes back to the queue is left to hosts other than the one that its last attempt was on, in ms: what
 * failed there fails there again more likely than elsewhere. A bound, after which the job is anybody's.
 */
export const otherHostFirstMs = 30_000;

/** The attempt before the one that a job waits for. */
export interface LastAttempt {
  readonly hostId: string;
  /** When the job went back to the queue, in ms since the epoch, by the clock of who put it there. */
  readonly endedAt: number;
}

/** The attempt before the one that a waiting job waits for; null for one that waits for its first, or does not wait. */
export function lastAttemptOf(
  job: Pick<Job, "state" | "attempt" | "hostId" | "stateSinceAt">,
): LastAttempt | null {
  if (job.state !== "queued" || job.attempt === 0 || job.hostId === null) return null;
  return { hostId: job.hostId, endedAt: job.stateSinceAt };
}

/** A job, as far as this decision goes. */
export interface Returned {
  readonly label: string;
  readonly image: string;
  readonly lastAttempt: LastAttempt | null;
}

/** A host that asks itself whether to take a job, and what it knows of the others. */
export interface AskingHost {
  readonly hostId: string;
  readonly now: number;
  /** Whether another host serves the image now, and has a slot for the label. */
  readonly othersHaveFreeSlot: (job: Pick<Returned, "label" | "image">) => boolean;
}

/** Whether a host leaves a job to the others for now: it comes from here, not long ago, and another one could take it. */
export function leftToOthers(job: Returned, host: AskingHost): boolean {
  return isFreshFrom(job.lastAttempt, host) && host.othersHaveFreeSlot(job);
}

/**
 * Whether an attempt ended on this host not long ago, as far as that matters here. One that ended in the future was noted by
 * a clock that differs, and holds nobody up.
 */
export function isFreshFrom(
  lastAttempt: LastAttempt | null,
  host: Pick<AskingHost, "hostId" | "now">,
): lastAttempt is LastAttempt {
  if (lastAttempt === null || lastAttempt.hostId !== host.hostId) return false;
  const age = host.now - lastAttempt.endedAt;
  return age >= 0 && age < otherHostFirstMs;
}
