import { isFinal } from "../../core/job/job-state.ts";
import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";
import { readStream } from "../api/api-streams.ts";
import { jobStateOf } from "../request/job-document.ts";
import { createPatience, endedEarly, type PatienceOptions } from "./patience.ts";

/** The job now and at each change until its state is final, also across restarts of the orchestrator. */
export async function* watchJob(jobId: string, options: PatienceOptions): AsyncGenerator<Job> {
  const { session, signal } = options;
  const patience = createPatience(options);
  for (;;) {
    try {
      for await (const { job } of readStream((call) => session.client.watch({ jobId }, call), signal)) {
        patience.reset();
        if (!job) continue;
        yield job;
        if (isFinal(jobStateOf(job))) return;
      }
      throw endedEarly();
    } catch (error) {
      await patience.endure(error);
    }
  }
}
