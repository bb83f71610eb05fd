import type { Job, JobTransition } from "../../core/job/job.ts";
import { activeStates, type JobState, jobStates } from "../../core/job/job-state.ts";
import { boundedLimit, toJob, toTransition } from "../rows.ts";
import type { JobsTable } from "../schema/schema.ts";
import type { Store } from "../store.ts";

export { listActive, recentDurations } from "./capacity.ts";
export { applyEvent, awaitClaims, claimJob, requestCancel } from "./job-changes.ts";
export { listJobs } from "./list-jobs.ts";
export { listQueued } from "./waiting.ts";

/** The fields of a job that intake sets. Times in ms since the epoch. */
export type NewJob = Pick<
  Job,
  | "id"
  | "request"
  | "label"
  | "image"
  | "size"
  | "fairKey"
  | "priority"
  | "timeoutSeconds"
  | "maxAttempts"
  | "submittedAt"
> &
  Partial<Pick<Job, "retryOf">>;

/**
 * Stores a job as `queued`. The request's id is the idempotency key: a request that is stored already writes nothing
 * and returns its job, with `existed` true.
 */
export async function insertJob(store: Store, job: NewJob): Promise<{ job: Job; existed: boolean }> {
  return store.write(async (trx, announce) => {
    const inserted = await trx
      .insertInto("jobs")
      .values(newJobRow(job))
      .onConflict((conflict) => conflict.column("request_id").doNothing())
      .returningAll()
      .executeTakeFirst();
    if (inserted === undefined) return { job: await requireRequest(trx, job), existed: true };
    await trx
      .insertInto("job_transitions")
      .values({
        job_id: job.id,
        attempt: 0,
        from_state: null,
        to_state: "queued",
        at: job.submittedAt,
        host_id: null,
        reason: null,
      })
      .execute();
    announce({ kind: "queue", jobId: job.id });
    return { job: toJob(inserted), existed: false };
  });
}

function newJobRow(job: NewJob): JobsTable {
  return {
    id: job.id,
    request_id: job.request.request_id,
    request: JSON.stringify(job.request),
    state: "queued",
    state_since_at: job.submittedAt,
    image: job.image,
    label: job.label,
    cpu: job.size.cpu,
    ram_mb: job.size.ramMb,
    disk_gb: job.size.diskGb,
    fair_key: job.fairKey,
    priority: job.priority,
    timeout_seconds: job.timeoutSeconds,
    attempt: 0,
    max_attempts: job.maxAttempts,
    host_id: null,
    cancel_requested_at: null,
    cancel_now_at: null,
    retry_of: job.retryOf ?? null,
    verdict_reason: null,
    verdict_message: null,
    verdict_exit_code: null,
    submitted_at: job.submittedAt,
    claimed_at: null,
    finished_at: null,
    source: job.request.source,
    repo_url: job.request.repo_url ?? null,
    commit_sha: job.request.commit_sha ?? null,
    ref: job.request.ref ?? null,
  };
}

async function requireRequest(db: Store["db"], job: NewJob): Promise<Job> {
  const row = await db
    .selectFrom("jobs")
    .selectAll()
    .where("request_id", "=", job.request.request_id)
    .executeTakeFirstOrThrow();
  return toJob(row);
}

/** The job with that id, or null. */
export async function getJob(store: Store, jobId: string): Promise<Job | null> {
  const row = await store.db.selectFrom("jobs").selectAll().where("id", "=", jobId).executeTakeFirst();
  return row === undefined ? null : toJob(row);
}

/** The job of the request with that id, or null. Ids are compared as they were sent. */
export async function findJobByRequest(store: Store, requestId: string): Promise<Job | null> {
  const row = await store.db
    .selectFrom("jobs")
    .selectAll()
    .where("request_id", "=", requestId)
    .executeTakeFirst();
  return row === undefined ? null : toJob(row);
}

/** Maximum number of retries of one job that are listed. */
const maxRetriesListed = 100;

/** The ids of the jobs that repeat a job, oldest first. */
export async function listRetries(store: Store, jobId: string): Promise<string[]> {
  const rows = await store.db
    .selectFrom("jobs")
    .select("id")
    .where("retry_of", "=", jobId)
    .orderBy("submitted_at")
    .orderBy("id")
    .limit(maxRetriesListed)
    .execute();
  return rows.map((row) => row.id);
}

/** The jobs whose id begins with `idPrefix`, in the order of ids; empty for a prefix that no id can have. */
export async function findJobs(store: Store, idPrefix: string, limit: number): Promise<Job[]> {
  if (!/^[0-9a-z]{1,40}$/.test(idPrefix)) return [];
  const rows = await store.db
    .selectFrom("jobs")
    .selectAll()
    .where("id", ">=", idPrefix)
    // "{" is the character after "z", so this is the end of all ids with the prefix.
    .where("id", "<", `${idPrefix}{`)
    .orderBy("id")
    .limit(boundedLimit(limit))
    .execute();
  return rows.map(toJob);
}

/** Order of the states within one attempt: a retry is queued after its attempt, and ends after that. */
const orderWithinAttempt = [...activeStates, "queued", ...jobStates] as const;

/** A job's changes of state, in the order they happened. */
export async function listTransitions(store: Store, jobId: string): Promise<JobTransition[]> {
  const rows = await store.db
    .selectFrom("job_transitions")
    .selectAll()
    .where("job_id", "=", jobId)
    .orderBy("attempt")
    .execute();
  return inOrder(rows.map(toTransition));
}

/**
 * A job's changes of state in the order they happened; clock skew between hosts can make their times disagree with it.
 */
export function inOrder(transitions: readonly JobTransition[]): JobTransition[] {
  const place = (state: JobState) => orderWithinAttempt.indexOf(state);
  return transitions.toSorted((a, b) => a.attempt - b.attempt || place(a.to) - place(b.to));
}
