import { type SelectQueryBuilder, sql } from "kysely";
import { SolsticeError } from "../core/errors.ts";
import type { Job, JobTransition } from "../core/job.ts";
import { activeStates, type JobState, jobStates } from "../core/job-state.ts";
import { type QueuedJob, queueRank } from "../core/scheduler.ts";
import { boundedLimit, toJob, toTransition } from "./rows.ts";
import type { Database, JobsTable } from "./schema.ts";
import type { Store } from "./store.ts";

export { applyEvent, claimJob, type JobChange, requestCancel } from "./job-changes.ts";

/** The most waiting jobs that are handed to the scheduler at once. */
export const maxQueuedListed = 10_000;

/** The most jobs of one host that can be active: far above what one host can run. */
const maxActiveListed = 10_000;

/** Bounds {@link listQueued}'s walk over the labels that have jobs waiting. */
const maxQueuedLabels = 1000;

/** What intake knows of a job. Times in ms since the epoch. */
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
>;

/**
 * Puts a job on disk as `queued`. The request's id is the idempotency key: a request that is there already writes nothing
 * and gives back the job it became, with `existed` true.
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
    queue_rank: queueRank(job),
    timeout_seconds: job.timeoutSeconds,
    attempt: 0,
    max_attempts: job.maxAttempts,
    host_id: null,
    cancel_requested_at: null,
    verdict_reason: null,
    verdict_message: null,
    verdict_exit_code: null,
    submitted_at: job.submittedAt,
    claimed_at: null,
    finished_at: null,
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

/** The job of that id, or null. */
export async function getJob(store: Store, jobId: string): Promise<Job | null> {
  const row = await store.db.selectFrom("jobs").selectAll().where("id", "=", jobId).executeTakeFirst();
  return row === undefined ? null : toJob(row);
}

/** The jobs whose id begins with `idPrefix`, in the order of ids; none when that is not the beginning of an id. */
export async function findJobs(store: Store, idPrefix: string, limit: number): Promise<Job[]> {
  if (!/^[0-9a-z]{1,40}$/.test(idPrefix)) return [];
  const rows = await store.db
    .selectFrom("jobs")
    .selectAll()
    .where("id", ">=", idPrefix)
    // "{" is the character after "z", so this is the end of everything that begins with the prefix.
    .where("id", "<", `${idPrefix}{`)
    .orderBy("id")
    .limit(boundedLimit(limit))
    .execute();
  return rows.map(toJob);
}

/** Which jobs {@link listJobs} gives. */
export interface JobFilter {
  /** Only jobs in these states; all when absent. */
  readonly states?: readonly JobState[];
  /** At most 1000. */
  readonly limit: number;
  /** Only jobs older than this one: the last of the page before. */
  readonly beforeJobId?: string;
}

/** Jobs, newest first. Throws `not_found` when the job to go on from does not exist. */
export async function listJobs(store: Store, filter: JobFilter): Promise<Job[]> {
  const limit = boundedLimit(filter.limit);
  const before = filter.beforeJobId === undefined ? null : await requireJob(store, filter.beforeJobId);
  const all = store.db.selectFrom("jobs").selectAll();
  if (filter.states === undefined) return (await newestFirst(all, before, limit)).map(toJob);
  // One indexed range per state, then merged: with a list of states the database would walk or sort every job.
  const pages = await Promise.all(
    [...new Set(filter.states)].map((state) => newestFirst(all.where("state", "=", state), before, limit)),
  );
  return pages
    .flat()
    .sort((a, b) => b.submitted_at - a.submitted_at || (a.id < b.id ? 1 : -1))
    .slice(0, limit)
    .map(toJob);
}

function newestFirst(
  query: SelectQueryBuilder<Database, "jobs", JobsTable>,
  before: Job | null,
  limit: number,
): Promise<JobsTable[]> {
  const older =
    before === null
      ? query
      : query.where(sql<boolean>`(submitted_at, id) < (${before.submittedAt}, ${before.id})`);
  return older.orderBy("submitted_at", "desc").orderBy("id", "desc").limit(limit).execute();
}

async function requireJob(store: Store, jobId: string): Promise<Job> {
  const job = await getJob(store, jobId);
  if (job === null) throw new SolsticeError("not_found", `There is no job ${jobId}.`);
  return job;
}

/**
 * The jobs that wait, for the scheduler. When there are more than `limit`, each label gets an equal share, in the order
 * of `queueRank`: a label with a long queue never hides another label's jobs.
 */
export async function listQueued(store: Store, limit: number): Promise<QueuedJob[]> {
  const labels = await queuedLabels(store);
  if (labels.length === 0) return [];
  const share = Math.ceil(boundedLimit(limit, maxQueuedListed) / labels.length);
  const lists = [];
  for (const label of labels) lists.push(await queuedOfLabel(store, label, share));
  return lists.flat();
}

/** One index seek per label, however many jobs wait. */
async function queuedLabels(store: Store): Promise<string[]> {
  const labels: string[] = [];
  while (labels.length < maxQueuedLabels) {
    const next = await store.db
      .selectFrom("jobs")
      .select("label")
      .where("state", "=", "queued")
      .where("label", ">", labels.at(-1) ?? "")
      .orderBy("label")
      .limit(1)
      .executeTakeFirst();
    if (next === undefined) break;
    labels.push(next.label);
  }
  return labels;
}

async function queuedOfLabel(store: Store, label: string, limit: number): Promise<QueuedJob[]> {
  const rows = await store.db
    .selectFrom("jobs")
    .select(["id", "label", "image", "fair_key", "priority", "submitted_at"])
    .where("state", "=", "queued")
    .where("label", "=", label)
    .orderBy("queue_rank")
    .orderBy("id")
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    label: row.label,
    image: row.image,
    fairKey: row.fair_key,
    priority: row.priority,
    submittedAt: row.submitted_at,
  }));
}

/** The jobs that occupy a slot of `hostId`, oldest first. */
export async function listActive(store: Store, hostId: string): Promise<Job[]> {
  const rows = await store.db
    .selectFrom("jobs")
    .selectAll()
    .where("host_id", "=", hostId)
    .where("state", "in", activeStates)
    .orderBy("submitted_at")
    .orderBy("id")
    .limit(maxActiveListed)
    .execute();
  return rows.map(toJob);
}

/** Where a state stands within one attempt: a retry is queued after its attempt, and ends after that. */
const orderWithinAttempt = [...activeStates, "queued", ...jobStates] as const;

/** A job's changes of state, in the order they happened. */
export async function listTransitions(store: Store, jobId: string): Promise<JobTransition[]> {
  const rows = await store.db
    .selectFrom("job_transitions")
    .selectAll()
    .where("job_id", "=", jobId)
    .orderBy("attempt")
    .execute();
  const place = (state: JobState) => orderWithinAttempt.indexOf(state);
  return rows.map(toTransition).sort((a, b) => a.attempt - b.attempt || place(a.to) - place(b.to));
}

/** How many jobs wait (anywhere) and are active on `hostId`, for each label and image that has any. */
export async function countJobs(
  store: Store,
  hostId: string,
): Promise<{ label: string; image: string; queued: number; active: number }[]> {
  const grouped = store.db
    .selectFrom("jobs")
    .select((expression) => ["label", "image", expression.fn.countAll<number>().as("jobs")])
    .groupBy(["label", "image"]);
  const queued = await grouped.where("state", "=", "queued").execute();
  const active = await grouped.where("host_id", "=", hostId).where("state", "in", activeStates).execute();
  const counts = new Map<string, { label: string; image: string; queued: number; active: number }>();
  const count = (kind: "queued" | "active", rows: typeof queued) => {
    for (const { label, image, jobs } of rows) {
      const key = JSON.stringify([label, image]);
      const entry = counts.get(key) ?? { label, image, queued: 0, active: 0 };
      counts.set(key, { ...entry, [kind]: Number(jobs) });
    }
  };
  count("queued", queued);
  count("active", active);
  return [...counts.values()].sort((a, b) => (a.label < b.label ? -1 : 1));
}

/**
 * How long the label's last finished jobs took from claim to end, in ms, newest first. Only verdicts of the job itself
 * count: a cancelled job, or a host's failure, says nothing about the next one.
 */
export async function recentDurations(
  store: Store,
  options: { label: string; limit: number },
): Promise<number[]> {
  const limit = boundedLimit(options.limit);
  const ofState = (state: JobState) =>
    store.db
      .selectFrom("jobs")
      .select(["finished_at", "claimed_at"])
      .where("label", "=", options.label)
      .where("state", "=", state)
      .orderBy("finished_at", "desc")
      .limit(limit)
      .execute();
  const lists = await Promise.all((["succeeded", "failed", "timed_out"] as const).map(ofState));
  return lists
    .flat()
    .map((row) => ({ finishedAt: row.finished_at ?? 0, claimedAt: row.claimed_at ?? 0 }))
    .sort((a, b) => b.finishedAt - a.finishedAt)
    .slice(0, limit)
    .map((times) => times.finishedAt - times.claimedAt);
}
