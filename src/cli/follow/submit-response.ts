import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";

/** What the API answers to a request for a job. */
export interface Submitted {
  readonly job: Job;
  readonly existed: boolean;
  /** Sentences about what is going to fail. */
  readonly warnings: readonly string[];
}
