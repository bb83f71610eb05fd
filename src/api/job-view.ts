import { create } from "@bufbuild/protobuf";
import { cacheUseMessage } from "../attempts/caches/cache-listing.ts";
import { proofOf } from "../attempts/output/log-proof.ts";
import { type HoldFacts, holdEndsAt, holdRefusalText } from "../core/job/hold.ts";
import type { Job, JobStep, JobTransition, Machine } from "../core/job/job.ts";
import { isFinal } from "../core/job/job-state.ts";
import {
  HoldSchema,
  type Job as JobMessage,
  JobSchema,
  JobStepSchema,
  LogStatusSchema,
  TransitionSchema,
} from "../gen/solstice/v1/jobs_pb.ts";
import { listCacheUses } from "../store/files/caches.ts";
import { listHolds } from "../store/jobs/holds.ts";
import { getJob, listRetries, listTransitions } from "../store/jobs/jobs.ts";
import { type ListedJob, listedJob } from "../store/jobs/list-jobs.ts";
import { getMachine } from "../store/jobs/machines.ts";
import { listSteps } from "../store/jobs/steps.ts";
import { type LogStatus, logStatus } from "../store/logs/logs.ts";
import type { Store } from "../store/store.ts";

/** Summaries of jobs, as lists show them: without the data of their attempts, except holds. */
export async function summarizeJobs(
  store: Store,
  jobs: readonly ListedJob[],
  now: number,
): Promise<JobMessage[]> {
  const mayBeOnHold = jobs.filter((job) => job.state === "finalizing");
  const holds = await listHolds(store, mayBeOnHold);
  return jobs.map((job) => {
    const hold = holds.get(job.id);
    const summary = summarizeJob(job);
    return hold ? create(JobSchema, { ...summary, hold: holdMessage(job, hold, now) }) : summary;
  });
}

function summarizeJob(job: ListedJob): JobMessage {
  const { shown, size } = job;
  return create(JobSchema, {
    id: job.id,
    requestId: shown.requestId,
    state: job.state,
    stateSinceMs: BigInt(job.stateSinceAt),
    label: job.label,
    image: job.image,
    repoUrl: withoutSecrets(shown.repoUrl ?? ""),
    commitSha: shown.commitSha ?? "",
    ref: shown.ref ?? "",
    source: shown.source,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    hostId: job.hostId ?? "",
    submittedMs: BigInt(job.submittedAt),
    finishedMs: BigInt(job.finishedAt ?? 0),
    cancelRequested: job.cancelRequestedAt !== null,
    ...(job.verdict && { verdict: verdictMessage(job.verdict) }),
    cpu: size.cpu,
    ramMb: size.ramMb,
    diskGb: size.diskGb,
    priority: job.priority,
    timeoutSeconds: job.timeoutSeconds,
    retryOf: job.retryOf ?? "",
  });
}

/**
 * The job with its current attempt's steps and log, and every transition. Null when the job does not exist.
 */
export async function describeJob(
  store: Store,
  jobId: string,
  now: number = Date.now(),
): Promise<JobMessage | null> {
  const job = await getJob(store, jobId);
  if (job === null) return null;
  const attempt = { jobId, attempt: job.attempt };
  const [steps, transitions, machine, output, cacheUses, retries] = await Promise.all([
    listSteps(store, attempt),
    listTransitions(store, jobId),
    getMachine(store, attempt),
    logStatus(store, { ...attempt, stream: "output" }),
    listCacheUses(store, attempt),
    listRetries(store, jobId),
  ]);
  return create(JobSchema, {
    ...summarizeJob(listedJob(job)),
    steps: steps.map(stepMessage),
    transitions: transitions.map(transitionMessage),
    cache: cacheUses.map(cacheUseMessage),
    log: logMessage(job, machine, output),
    retries,
    ...(machine && hasHold(machine) && { hold: holdMessage(job, machine, now) }),
  });
}

function hasHold({ holdUntilAt, holdRefusal }: Machine): boolean {
  return holdUntilAt !== null || holdRefusal !== null;
}

/** A hold is shown as ended as soon as no shell can be opened in its guest. */
function holdMessage(job: Pick<Job, "state" | "cancelRequestedAt">, hold: HoldFacts, now: number) {
  const { holdUntilAt, holdReleasedAt, holdRefusal } = hold;
  const isOn = holdEndsAt(job, hold, now) !== null;
  const state = holdRefusal !== null ? "refused" : isOn ? "on_hold" : isFinal(job.state) ? "ended" : "ending";
  return create(HoldSchema, {
    state,
    untilMs: BigInt(holdUntilAt ?? 0),
    releasedMs: BigInt(holdReleasedAt ?? 0),
    message: holdRefusal === null ? "" : holdRefusalText(holdRefusal),
  });
}

function verdictMessage(verdict: NonNullable<Job["verdict"]>) {
  const { exitCode, ...facts } = verdict;
  return exitCode === null ? facts : { ...facts, exitCode };
}

function stepMessage(step: JobStep) {
  return create(JobStepSchema, {
    index: step.index,
    name: step.name,
    state: step.state,
    startedMs: BigInt(step.startedAt ?? 0),
    finishedMs: BigInt(step.finishedAt ?? 0),
    ...(step.exitCode !== null && { exitCode: step.exitCode }),
    ...(step.logStart !== null && { logStart: BigInt(step.logStart) }),
    ...(step.logEnd !== null && { logEnd: BigInt(step.logEnd) }),
  });
}

function transitionMessage(transition: JobTransition) {
  return create(TransitionSchema, {
    from: transition.from ?? "",
    to: transition.to,
    atMs: BigInt(transition.at),
    attempt: transition.attempt,
    reason: transition.reason ?? "",
    hostId: transition.hostId ?? "",
  });
}

function logMessage(job: Job, machine: Machine | null, output: LogStatus) {
  const { word, missing } = proofOf(job, machine, output);
  return create(LogStatusSchema, {
    receivedBytes: BigInt(output.received),
    completeness: word,
    expiredMs: BigInt(output.expiredAt ?? 0),
    ...(missing && { missingFrom: BigInt(missing.from), missingTo: BigInt(missing.to) }),
  });
}

/**
 * Removes user and password from a URL: people put tokens there, and a person who may see the job need not
 * see them.
 */
function withoutSecrets(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, "$1***@").replace(/^([a-z]+:\/\/[^/@:]*):[^/@]*@/i, "$1:***@");
}
