import { type Selectable, type SelectQueryBuilder, sql } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import type { JobState } from "../../core/job/job-state.ts";
import { boundedLimit, toJob } from "../rows.ts";
import type { Database, JobsTable } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** The fields of a request that a list shows; the whole request may have hundreds of kilobytes. */
export interface ShownRequest {
  readonly requestId: string;
  readonly source: string;
  readonly repoUrl: string | null;
  readonly commitSha: string | null;
  readonly ref: string | null;
}

/** A job as in lists. */
export interface ListedJob extends Omit<Job, "request"> {
  readonly shown: ShownRequest;
}

/** Selects the jobs that {@link listJobs} returns. */
export interface JobFilter {
  /** Only jobs in these states; all when absent. */
  readonly states?: readonly JobState[];
  /** At most 1000. */
  readonly limit: number;
  /** Only jobs older than this one: the last of the page before. */
  readonly beforeJobId?: string;
}

/** Reduces a job to the fields of a list. */
export function listedJob({ request, ...job }: Job): ListedJob {
  const shown = {
    requestId: request.request_id,
    source: request.source,
    repoUrl: request.repo_url ?? null,
    commitSha: request.commit_sha ?? null,
    ref: request.ref ?? null,
  };
  return { ...job, shown };
}

const columns = [
  ...(["id", "request_id", "state", "state_since_at", "image", "label", "cpu", "ram_mb", "disk_gb"] as const),
  ...(["fair_key", "priority", "timeout_seconds", "attempt", "max_attempts", "host_id"] as const),
  ...(["cancel_requested_at", "cancel_now_at", "retry_of"] as const),
  ...(["verdict_reason", "verdict_message", "verdict_exit_code"] as const),
  ...(["submitted_at", "claimed_at", "finished_at", "source", "repo_url", "commit_sha", "ref"] as const),
] as const;

type ListedRow = Selectable<Pick<JobsTable, (typeof columns)[number]>>;

/** Jobs, newest first, without their requests. Throws `not_found` when the job to continue after does not exist. */
export async function listJobs(store: Store, filter: JobFilter): Promise<ListedJob[]> {
  const limit = boundedLimit(filter.limit);
  const before = filter.beforeJobId === undefined ? null : await requireJob(store, filter.beforeJobId);
  const all = store.db.selectFrom("jobs").select(columns);
  const page = (query: typeof all) => newestFirst(query, before, limit);
  if (filter.states === undefined) return (await page(all)).map(toListed);
  // One indexed range per state, then merged: with a list of states the database would walk or sort every job.
  const pages = await Promise.all(
    [...new Set(filter.states)].map((state) => page(all.where("state", "=", state))),
  );
  return pages
    .flat()
    .sort((a, b) => b.submitted_at - a.submitted_at || (a.id < b.id ? 1 : -1))
    .slice(0, limit)
    .map(toListed);
}

function newestFirst(
  query: SelectQueryBuilder<Database, "jobs", ListedRow>,
  before: { readonly submittedAt: number; readonly id: string } | null,
  limit: number,
): Promise<ListedRow[]> {
  const older =
    before === null
      ? query
      : query.where(sql<boolean>`(submitted_at, id) < (${before.submittedAt}, ${before.id})`);
  return older.orderBy("submitted_at", "desc").orderBy("id", "desc").limit(limit).execute();
}

async function requireJob(store: Store, jobId: string): Promise<{ submittedAt: number; id: string }> {
  const row = await store.db
    .selectFrom("jobs")
    .select("submitted_at")
    .where("id", "=", jobId)
    .executeTakeFirst();
  if (row === undefined) throw new SolsticeError("not_found", `There is no job ${jobId}.`);
  return { submittedAt: row.submitted_at, id: jobId };
}

function toListed(row: ListedRow): ListedJob {
  const { request: _none, ...job } = toJob({ ...row, request: "{}" });
  const shown = {
    requestId: row.request_id,
    source: row.source,
    repoUrl: row.repo_url,
    commitSha: row.commit_sha,
    ref: row.ref,
  };
  return { ...job, shown };
}
