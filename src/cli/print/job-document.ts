import type { JobState } from "../../core/job/job-state.ts";
import type { Job, JobStep, LogStatus, Transition } from "../../gen/solstice/v1/jobs_pb.ts";
import { cacheUseDocument } from "./cache-list.ts";

/** Time that a job spent in a state, in milliseconds; for the current state, the time so far. */
export interface StateTiming {
  readonly state: string;
  readonly attempt: number;
  readonly ms: number;
}

/** The state of a job message. A newer orchestrator may send states that are new to us; they count as not final. */
export function jobStateOf(job: Job): JobState {
  return job.state as JobState;
}

/** The time in each state, in the order of the states. The final state has no time. */
export function stateTimings(job: Job, now: number): StateTiming[] {
  return job.transitions.flatMap((transition, index) => {
    const left = job.transitions[index + 1]?.atMs;
    if (left === undefined && job.finishedMs !== 0n) return [];
    const ms = Number(left ?? BigInt(now)) - Number(transition.atMs);
    return [{ state: transition.to, attempt: transition.attempt, ms: Math.max(0, ms) }];
  });
}

/** The first step that failed. */
export function failedStep(job: Job): JobStep | undefined {
  return job.steps.find((step) => step.state === "failed");
}

/** A job as `--json` prints it. Times are milliseconds since the epoch. `docs/reference/cli.md` documents the keys; they must not change. */
export function jobDocument(job: Job, now: number) {
  return {
    id: job.id,
    request_id: job.requestId,
    state: job.state,
    state_since_ms: Number(job.stateSinceMs),
    verdict: verdictDocument(job),
    label: job.label,
    image: job.image,
    size: { cpu: job.cpu, ram_mb: job.ramMb, disk_gb: job.diskGb },
    repo_url: job.repoUrl || null,
    commit_sha: job.commitSha || null,
    ref: job.ref || null,
    source: job.source || null,
    priority: job.priority,
    timeout_seconds: job.timeoutSeconds,
    attempt: job.attempt,
    max_attempts: job.maxAttempts,
    host_id: job.hostId || null,
    cancel_requested: job.cancelRequested,
    retry_of: job.retryOf || null,
    submitted_ms: Number(job.submittedMs),
    finished_ms: timeOrNull(job.finishedMs),
    retries: [...job.retries],
    hold: holdDocument(job),
    steps: job.steps.map(stepDocument),
    timings: stateTimings(job, now),
    transitions: job.transitions.map(transitionDocument),
    cache: job.cache.map(cacheUseDocument),
    log: job.log
      ? {
          received_bytes: Number(job.log.receivedBytes),
          completeness: job.log.completeness,
          missing: missingRange(job.log),
          expired_ms: timeOrNull(job.log.expiredMs),
        }
      : null,
  };
}

/** {@link jobDocument} for a list: without the parts that the API's list does not contain. */
export function jobSummaryDocument(job: Job, now: number) {
  const {
    retries: _retries,
    steps: _steps,
    timings: _timings,
    transitions: _transitions,
    cache: _cache,
    log: _log,
    ...summary
  } = jobDocument(job, now);
  return summary;
}

function verdictDocument({ verdict }: Job) {
  if (!verdict) return null;
  const { state, reason, message, exitCode } = verdict;
  return { state, reason, message, exit_code: exitCode ?? null };
}

function holdDocument({ hold }: Job) {
  if (!hold) return null;
  const { state, message } = hold;
  return {
    state,
    until_ms: timeOrNull(hold.untilMs),
    released_ms: timeOrNull(hold.releasedMs),
    message: message || null,
  };
}

function stepDocument(step: JobStep) {
  return {
    index: step.index,
    name: step.name,
    state: step.state,
    exit_code: step.exitCode ?? null,
    started_ms: timeOrNull(step.startedMs),
    finished_ms: timeOrNull(step.finishedMs),
    log_start: step.logStart === undefined ? null : Number(step.logStart),
    log_end: step.logEnd === undefined ? null : Number(step.logEnd),
  };
}

function missingRange({ missingFrom, missingTo }: LogStatus) {
  if (missingFrom === undefined || missingTo === undefined) return null;
  return { from: Number(missingFrom), to: Number(missingTo) };
}

function transitionDocument(transition: Transition) {
  return {
    from: transition.from || null,
    to: transition.to,
    at_ms: Number(transition.atMs),
    attempt: transition.attempt,
    reason: transition.reason || null,
    host_id: transition.hostId || null,
  };
}

function timeOrNull(ms: bigint): number | null {
  return ms === 0n ? null : Number(ms);
}
