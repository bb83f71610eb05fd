import { isFinal } from "../../core/job/job-state.ts";
import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";
import { type ApiRetryOptions, createApiRetry, endedEarly } from "../api/api-retry.ts";
import { readStream } from "../api/api-streams.ts";
import { jobStateOf } from "../print/job-document.ts";

/** The job now and after each change until its state is final. The watch survives restarts of the orchestrator. */
export async function* watchJob(jobId: string, options: ApiRetryOptions): AsyncGenerator<Job> {
  const { session, signal } = options;
  const apiRetry = createApiRetry(options);
  for (;;) {
    try {
      for await (const { job } of readStream((call) => session.client.watch({ jobId }, call), signal)) {
        apiRetry.reset();
        if (!job) continue;
        yield job;
        if (isFinal(jobStateOf(job))) return;
      }
      throw endedEarly();
    } catch (error) {
      await apiRetry.waitAfter(error);
    }
  }
}
