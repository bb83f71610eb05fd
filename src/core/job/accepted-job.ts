import type { Job } from "./job.ts";

/** A job that was accepted; `warnings` are sentences for the sender of the request. */
export interface AcceptedJob {
  readonly job: Job;
  /** True when the same request had already become this job. */
  readonly existed: boolean;
  readonly warnings?: readonly string[];
}
