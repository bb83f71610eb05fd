import type { LogStream } from "../core/job/job.ts";

/** Names one attempt of a job. */
export interface AttemptKey {
  readonly jobId: string;
  readonly attempt: number;
}

/** Names one log. */
export interface LogKey extends AttemptKey {
  readonly stream: LogStream;
}
