import type { Job } from "../job/job.ts";

/**
 * Time for which a requeued job is left to hosts other than that of its last attempt, in ms: a failure is more likely
 * to repeat on the same host. Afterwards any host may take the job.
 */
export const otherHostFirstMs = 30_000;

/** The attempt before the one that a job waits for. */
export interface LastAttempt {
  readonly hostId: string;
  /** When the job went back to the queue, in ms since the epoch, by the clock of the host that requeued it. */
  readonly endedAt: number;
}

/** The attempt before the one that a job waits for; null when it waits for its first attempt, or does not wait. */
export function lastAttemptOf(
  job: Pick<Job, "state" | "attempt" | "hostId" | "stateSinceAt">,
): LastAttempt | null {
  if (job.state !== "queued" || job.attempt === 0 || job.hostId === null) return null;
  return { hostId: job.hostId, endedAt: job.stateSinceAt };
}

/** The fields of a job that this decision needs. */
export interface Returned {
  readonly label: string;
  readonly image: string;
  readonly lastAttempt: LastAttempt | null;
}

/** A host that decides whether to take a job, and its view of the other hosts. */
export interface DecidingHost {
  readonly hostId: string;
  readonly now: number;
  /** True when another host serves the image now and has a free slot for the label. */
  readonly othersHaveFreeSlot: (job: Pick<Returned, "label" | "image">) => boolean;
}

/**
 * True when a host leaves a job to the others for now: its last attempt ended here recently, and another host could
 * take it.
 */
export function leftToOthers(job: Returned, host: DecidingHost): boolean {
  return isFreshFrom(job.lastAttempt, host) && host.othersHaveFreeSlot(job);
}

/** True when an attempt ended on this host recently. An end in the future comes from clock skew and does not count. */
export function isFreshFrom(
  lastAttempt: LastAttempt | null,
  host: Pick<DecidingHost, "hostId" | "now">,
): lastAttempt is LastAttempt {
  if (lastAttempt === null || lastAttempt.hostId !== host.hostId) return false;
  const age = host.now - lastAttempt.endedAt;
  return age >= 0 && age < otherHostFirstMs;
}
