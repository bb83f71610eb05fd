import type { LogStream } from "../core/job/job.ts";

/** Identifies one attempt of a job. */
export interface AttemptKey {
  readonly jobId: string;
  readonly attempt: number;
}

/** Identifies one log. */
export interface LogKey extends AttemptKey {
  readonly stream: LogStream;
}
