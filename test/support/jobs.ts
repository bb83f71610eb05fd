import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { JobRequestInput } from "../../src/core/request/job-request.ts";
import type { Job } from "../../src/gen/solstice/v1/jobs_pb.ts";
import type { OrchestratorProcess } from "./orchestrator.ts";

/** Longest wait of a test for one job; software emulation is slow, and the host is small. */
const jobTimeoutMs = 5 * 60_000;

/** Aborts a call that takes too long. Unlike a call's own deadline, this signal does not keep the process alive. */
function apiRetry(): AbortSignal {
  return AbortSignal.timeout(jobTimeoutMs);
}

/** Submits a job and returns its id. */
export async function submit(
  { api }: OrchestratorProcess,
  request: Omit<JobRequestInput, "request_id"> & { request_id?: string },
): Promise<string> {
  const jobRequestJson = JSON.stringify({ request_id: randomUUID(), source: "test", ...request });
  const { job } = await api.submit({ jobRequestJson });
  assert.ok(job);
  return job.id;
}

/** Follows a job until `enough` returns true, and returns the job as of that moment. */
export async function untilJob(
  { api, log }: OrchestratorProcess,
  jobId: string,
  enough: (job: Job) => boolean,
): Promise<Job> {
  let seen = "nothing";
  try {
    for await (const { job } of api.watch({ jobId }, { signal: apiRetry() })) {
      if (job === undefined) continue;
      seen = `${job.state} (${job.verdict?.reason ?? "no verdict"})`;
      if (enough(job)) return job;
    }
  } catch (error) {
    throw new Error(`job ${jobId} was last seen as ${seen}; the orchestrator's log:\n${log()}`, {
      cause: error,
    });
  }
  throw new Error(`job ${jobId} ended as ${seen}; the orchestrator's log:\n${log()}`);
}

/** Waits until a job is in one of the states. */
export function untilState(
  orchestrator: OrchestratorProcess,
  jobId: string,
  ...states: string[]
): Promise<Job> {
  return untilJob(orchestrator, jobId, (job) => states.includes(job.state));
}

/** Waits for the end of a job. */
export function untilEnd(orchestrator: OrchestratorProcess, jobId: string): Promise<Job> {
  return untilState(orchestrator, jobId, "succeeded", "failed", "timed_out", "cancelled", "infra_error");
}

/** A whole log of a job's latest attempt. */
export async function readLog(
  { api }: OrchestratorProcess,
  jobId: string,
  options: { stream?: "output" | "console"; attempt?: number } = {},
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const { data } of api.logs({ jobId, ...options })) pieces.push(data);
  return Buffer.concat(pieces);
}

/** Follows a job's output until it contains `text`. */
export async function untilLogged(
  { api, log }: OrchestratorProcess,
  jobId: string,
  text: string,
): Promise<void> {
  let output = "";
  const end = new AbortController();
  try {
    const signal = AbortSignal.any([end.signal, apiRetry()]);
    for await (const { data } of api.logs({ jobId, follow: true }, { signal })) {
      output += Buffer.from(data).toString();
      if (output.includes(text)) return;
    }
  } finally {
    end.abort();
  }
  throw new Error(
    `the output never contained ${JSON.stringify(text)} but ${JSON.stringify(output.slice(-2000))}:\n${log()}`,
  );
}
