import type { Selectable } from "kysely";
import { SolsticeError } from "../core/errors.ts";
import type { Job, JobStep, JobTransition, Machine } from "../core/job/job.ts";
import { type Verdict, verdict } from "../core/job/verdict.ts";
import type { JobRequest } from "../core/request/job-request.ts";
import type { JobsTable, JobTransitionsTable, MachinesTable, StepsTable } from "./schema/schema.ts";

/** Maximum number of rows that one list call returns. */
export const maxListed = 1000;

/** `limit` between 1 and `most`. */
export function boundedLimit(limit: number, most: number = maxListed): number {
  return Math.max(1, Math.min(most, Math.floor(limit)));
}

/** The columns that repeat fields of the request. */
type ShownColumn = "source" | "repo_url" | "commit_sha" | "ref";

/** Converts a row of `jobs`. */
export function toJob(row: Omit<Selectable<JobsTable>, ShownColumn>): Job {
  return {
    id: row.id,
    request: parseRequest(row),
    state: row.state,
    stateSinceAt: row.state_since_at,
    image: row.image,
    label: row.label,
    size: { cpu: row.cpu, ramMb: row.ram_mb, diskGb: row.disk_gb },
    fairKey: row.fair_key,
    priority: row.priority,
    timeoutSeconds: row.timeout_seconds,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    hostId: row.host_id,
    cancelRequestedAt: row.cancel_requested_at,
    cancelNowAt: row.cancel_now_at,
    retryOf: row.retry_of,
    verdict: toVerdict(row),
    submittedAt: row.submitted_at,
    finishedAt: row.finished_at,
  };
}

/** The request was validated before it was stored, by this version or an older one, so its shape is trusted here. */
function parseRequest(row: Pick<JobsTable, "id" | "request">): JobRequest {
  try {
    return JSON.parse(row.request);
  } catch (cause) {
    throw new SolsticeError("store_failed", `The stored request of job ${row.id} is damaged.`, { cause });
  }
}

function toVerdict(
  row: Pick<JobsTable, "verdict_reason" | "verdict_message" | "verdict_exit_code">,
): Verdict | null {
  if (row.verdict_reason === null) return null;
  return verdict(row.verdict_reason, row.verdict_message ?? "", row.verdict_exit_code);
}

/** The columns of `jobs` that hold a verdict; null clears them. */
export function verdictColumns(ended: Verdict | null) {
  return {
    verdict_reason: ended?.reason ?? null,
    verdict_message: ended?.message ?? null,
    verdict_exit_code: ended?.exitCode ?? null,
  };
}

/** Converts a row of `job_transitions`. */
export function toTransition(row: Selectable<JobTransitionsTable>): JobTransition {
  return {
    jobId: row.job_id,
    attempt: row.attempt,
    from: row.from_state,
    to: row.to_state,
    at: row.at,
    hostId: row.host_id,
    reason: row.reason,
  };
}

/** Converts a row of `machines`. */
export function toMachine(row: Selectable<MachinesTable>): Machine {
  return {
    jobId: row.job_id,
    attempt: row.attempt,
    hostId: row.host_id,
    backend: row.backend,
    state: row.state,
    stateSinceAt: row.state_since_at,
    bootstrapTokenHash: row.bootstrap_token_hash,
    sessionTokenHash: row.session_token_hash,
    runnerStartedAt: row.runner_started_at,
    runnerSeenAt: row.runner_seen_at,
    runnerFinishedAt: row.runner_finished_at,
    runnerExitCode: row.runner_exit_code,
    runnerFailure: row.runner_failure,
    runnerFailureDetail: row.runner_failure_detail,
    logLength: row.log_length,
    logSha256: row.log_sha256,
    holdUntilAt: row.hold_until_at,
    holdReleasedAt: row.hold_released_at,
    holdRefusal: row.hold_refusal,
  };
}

/** Converts a row of `steps`. */
export function toStep(row: Selectable<StepsTable>): JobStep {
  return {
    jobId: row.job_id,
    attempt: row.attempt,
    index: row.step_index,
    name: row.name,
    state: row.state,
    exitCode: row.exit_code,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    logStart: row.log_start,
    logEnd: row.log_end,
  };
}
