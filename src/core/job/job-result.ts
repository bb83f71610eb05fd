import type { Job, JobStep, JobTransition, StepState } from "./job.ts";
import type { FinalState, JobState } from "./job-state.ts";
import type { VerdictReason } from "./verdict.ts";

/** Largest number of files in a result: with long names, more files would exceed the size of a message. */
const artifactsReportedMax = 200;

/** The version of the message {@link JobResult}. */
export const jobResultVersion = "jobresult.v1";

/** The message about a finished job, published as JSON. Times are ISO 8601 in UTC; absent facts are null. */
export interface JobResult {
  readonly schema_version: typeof jobResultVersion;
  readonly request_id: string;
  readonly job_id: string;
  readonly state: FinalState;
  readonly reason: VerdictReason;
  /** One sentence for a person. */
  readonly message: string;
  readonly exit_code: number | null;
  readonly source: string;
  readonly repo_url: string | null;
  readonly repo_owner: string | null;
  readonly repo_name: string | null;
  readonly commit_sha: string | null;
  readonly ref: string | null;
  readonly group_id: string | null;
  readonly label: string;
  readonly image: string;
  /** The job that this one repeats; null when it repeats no other job. */
  readonly retry_of: string | null;
  readonly attempt: number;
  readonly host_id: string | null;
  readonly submitted_at: string;
  readonly finished_at: string;
  /** URL of the log; null when no orchestrator has an address to publish. */
  readonly log_url: string | null;
  /** The steps of the last attempt. */
  readonly steps: readonly {
    readonly name: string;
    readonly state: StepState;
    readonly exit_code: number | null;
    readonly started_at: string | null;
    readonly finished_at: string | null;
  }[];
  /** Files that the last attempt kept, by name: the first 200. `artifact_count` is the number of all files. */
  readonly artifacts: readonly { readonly name: string; readonly size: number; readonly sha256: string }[];
  readonly artifact_count: number;
  /** Every change of state, of every attempt. */
  readonly transitions: readonly {
    readonly attempt: number;
    readonly to: JobState;
    readonly at: string;
  }[];
}

/** The input for a result. The job must be final, so that its data no longer changes. */
export interface FinishedJob {
  readonly job: Job;
  /** Steps of the last attempt, in order. */
  readonly steps: readonly JobStep[];
  readonly transitions: readonly JobTransition[];
  /** Files of the last attempt, in the order of their names. */
  readonly artifacts: readonly {
    readonly name: string;
    readonly sizeBytes: number;
    readonly sha256: string | null;
  }[];
  readonly logUrl: string | null;
}

/** Builds the message. Throws a `TypeError` for a job that has not ended. */
export function buildJobResult({ job, steps, transitions, artifacts, logUrl }: FinishedJob): JobResult {
  const { request, verdict, finishedAt } = job;
  if (verdict === null || finishedAt === null) throw new TypeError(`Job ${job.id} has not ended.`);
  return {
    schema_version: jobResultVersion,
    request_id: request.request_id,
    job_id: job.id,
    state: verdict.state,
    reason: verdict.reason,
    message: verdict.message,
    exit_code: verdict.exitCode,
    source: request.source,
    repo_url: request.repo_url ?? null,
    repo_owner: request.repo_owner ?? null,
    repo_name: request.repo_name ?? null,
    commit_sha: request.commit_sha ?? null,
    ref: request.ref ?? null,
    group_id: request.group_id ?? null,
    label: job.label,
    image: job.image,
    retry_of: job.retryOf,
    attempt: job.attempt,
    host_id: job.hostId,
    submitted_at: timeText(job.submittedAt),
    finished_at: timeText(finishedAt),
    log_url: logUrl,
    steps: steps.map((step) => ({
      name: step.name,
      state: step.state,
      exit_code: step.exitCode,
      started_at: step.startedAt === null ? null : timeText(step.startedAt),
      finished_at: step.finishedAt === null ? null : timeText(step.finishedAt),
    })),
    artifacts: artifacts
      .slice(0, artifactsReportedMax)
      .map(({ name, sizeBytes, sha256 }) => ({ name, size: sizeBytes, sha256: sha256 ?? "" })),
    artifact_count: artifacts.length,
    transitions: transitions.map(({ attempt, to, at }) => ({ attempt, to, at: timeText(at) })),
  };
}

function timeText(at: number): string {
  return new Date(at).toISOString();
}
