import type { JobState } from "./job-state.ts";

/** Ageing: each of these that a job has waited is worth one point of priority, so that nothing waits for ever. */
export const ageingMs = 5 * 60 * 1000;

/** What the scheduler needs to know of a queued job. */
export interface QueuedJob {
  readonly id: string;
  readonly label: string;
  readonly image: string;
  readonly fairKey: string;
  readonly priority: number;
  /** When it was first submitted, in ms since the epoch: its age. A retry keeps its age. */
  readonly submittedAt: number;
}

/** What the scheduler needs to know of a job that occupies a slot. */
export interface RunningJob {
  readonly id: string;
  readonly label: string;
  readonly image: string;
  readonly fairKey: string;
  readonly state: JobState;
}

/**
 * The order by which a store hands out waiting jobs when there are too many to hand out all: the smaller, the earlier.
 * It is ageing without a clock: a point of priority is worth {@link ageingMs} of age, at any time.
 */
export function queueRank(job: Pick<QueuedJob, "priority" | "submittedAt">): number {
  return job.submittedAt - job.priority * ageingMs;
}
