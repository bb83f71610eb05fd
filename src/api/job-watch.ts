import { isDeepStrictEqual } from "node:util";
import { isFinal, type JobState } from "../core/job/job-state.ts";
import type { Job as JobMessage } from "../gen/solstice/v1/jobs_pb.ts";
import type { Store } from "../store/store.ts";
import { listenForWakes } from "../store/wakes.ts";
import { describeJob } from "./job-view.ts";

/**
 * Milliseconds between polls of a job that receives no wake-up; changes by another process do not always send
 * one.
 */
const safetyPollMs = 5000;

/**
 * Streams the job now and at each change, until its state is final. Changes that occur faster than the reader
 * reads are merged. Rejects with the reason of `signal`.
 */
export async function* watchJob(
  store: Store,
  options: { jobId: string; signal: AbortSignal; now: () => number; pollMs?: number },
): AsyncGenerator<JobMessage> {
  const { jobId, signal, now, pollMs = safetyPollMs } = options;
  using wakes = listenForWakes(store, (wake) => wake.jobId === jobId && wake.kind !== "log");
  let shown: JobMessage | null = null;
  for (;;) {
    const job = await describeJob(store, jobId, now());
    if (job === null) return;
    if (!isDeepStrictEqual(job, shown)) yield job;
    shown = job;
    if (isFinal(job.state as JobState)) return;
    await wakes.next({ timeoutMs: pollMs, signal });
  }
}
