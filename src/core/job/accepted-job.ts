import type { Job } from "./job.ts";

/** A job that was taken in; `warnings` are sentences for the one who sent the request. */
export interface AcceptedJob {
  readonly job: Job;
  /** Whether the same request had become this job before. */
  readonly existed: boolean;
  readonly warnings?: readonly string[];
}
