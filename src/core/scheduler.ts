import type { JobState } from "./job-state.ts";

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
  readonly fairKey: string;
  readonly state: JobState;
}
