import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";

/** The API's response to a request for a job. */
export interface Submitted {
  readonly job: Job;
  readonly existed: boolean;
  /** Sentences about parts of the job that will fail. */
  readonly warnings: readonly string[];
}
