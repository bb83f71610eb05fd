import type { ExpressionBuilder } from "kysely";
import type { Job, JobStep, JobTransition } from "../../core/job/job.ts";
import { listUploads, type Upload } from "../files/uploads.ts";
import { inOrder } from "../jobs/jobs.ts";
import { boundedLimit, toJob, toStep, toTransition } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/**
 * Maximum number of results that one claim takes: limits its queries, and the number of results that a returning broker
 * gets at once.
 */
export const maxClaimed = 100;

/** Counting stops here: a larger number of waiting results is no worse. */
const maxCounted = 100_000;

/**
 * Claims up to `limit` waiting results, oldest first, for one host until `until`. After that, other hosts may claim the
 * results of a host that died; its own next process returns them at once with {@link releaseResults}. Returns the ids
 * of the jobs.
 */
export async function claimResults(
  store: Store,
  claim: { hostId: string; at: number; until: number; limit: number },
): Promise<string[]> {
  const limit = boundedLimit(claim.limit, maxClaimed);
  // Reads first: usually no result waits, and then this neither writes nor waits for a lock.
  const waiting = await store.db
    .selectFrom("outbox")
    .select("job_id")
    .where(isFree(claim.at))
    .orderBy("created_at")
    .orderBy("job_id")
    .limit(1)
    .executeTakeFirst();
  if (waiting === undefined) return [];
  const rows = await store.write((trx) =>
    trx
      .updateTable("outbox")
      .set({ claimed_by: claim.hostId, claimed_until: claim.until })
      .where("job_id", "in", (outbox) =>
        outbox
          .selectFrom("outbox")
          .select("job_id")
          .where(isFree(claim.at))
          .orderBy("created_at")
          .orderBy("job_id")
          .limit(limit)
          .$if(store.canSkipLocked, (query) => query.forUpdate().skipLocked()),
      )
      .returning(["job_id", "created_at"])
      .execute(),
  );
  return rows.sort((a, b) => a.created_at - b.created_at).map((row) => row.job_id);
}

/** Condition: not published, and without a valid claim. */
function isFree(at: number) {
  return (outbox: ExpressionBuilder<Database, "outbox">) =>
    outbox.and([
      outbox("published_at", "is", null),
      outbox.or([outbox("claimed_until", "is", null), outbox("claimed_until", "<", at)]),
    ]);
}

/** Returns the claims of `hostId` that were not published: only those of `jobIds`, or all. */
export async function releaseResults(
  store: Store,
  release: { hostId: string; jobIds?: readonly string[] },
): Promise<void> {
  const { hostId, jobIds } = release;
  if (jobIds?.length === 0) return;
  await store.write(async (trx) => {
    await trx
      .updateTable("outbox")
      .set({ claimed_by: null, claimed_until: null })
      .where("published_at", "is", null)
      .where("claimed_by", "=", hostId)
      .$if(jobIds !== undefined, (query) => query.where("job_id", "in", jobIds ?? []))
      .execute();
  });
}

/** Records that the broker has confirmed these results. */
export async function markPublished(
  store: Store,
  published: { jobIds: readonly string[]; at: number },
): Promise<void> {
  if (published.jobIds.length === 0) return;
  await store.write(async (trx) => {
    await trx
      .updateTable("outbox")
      .set({ published_at: published.at, claimed_by: null, claimed_until: null })
      .where("job_id", "in", published.jobIds)
      .where("published_at", "is", null)
      .execute();
  });
}

/** Number of results that wait to be published by any host; counted up to 100,000. */
export async function countUnpublished(store: Store): Promise<number> {
  const { count } = await store.db
    .selectFrom((outbox) =>
      outbox
        .selectFrom("outbox")
        .select("job_id")
        .where("published_at", "is", null)
        .limit(maxCounted)
        .as("counted"),
    )
    .select((expression) => expression.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The input of a result: the job's row, the steps of its last attempt, and every change of state. */
export interface EndedJobFacts {
  readonly job: Job;
  readonly steps: readonly JobStep[];
  readonly transitions: readonly JobTransition[];
  /** Artifacts of the last attempt, in the order of their names. */
  readonly artifacts: readonly Upload[];
}

/**
 * Reads the input for the results of these jobs, in their order. A job with a damaged row is in `failed`, so that it
 * does not block the others.
 */
export async function loadEndedJobs(
  store: Store,
  jobIds: readonly string[],
): Promise<{ jobs: EndedJobFacts[]; failed: { jobId: string; error: unknown }[] }> {
  if (jobIds.length === 0) return { jobs: [], failed: [] };
  const { db } = store;
  const [rows, steps, transitions] = await Promise.all([
    db.selectFrom("jobs").selectAll().where("id", "in", jobIds).execute(),
    db
      .selectFrom("steps")
      .innerJoin("jobs", (join) =>
        join.onRef("jobs.id", "=", "steps.job_id").onRef("jobs.attempt", "=", "steps.attempt"),
      )
      .selectAll("steps")
      .where("steps.job_id", "in", jobIds)
      .orderBy("step_index")
      .execute(),
    db.selectFrom("job_transitions").selectAll().where("job_id", "in", jobIds).execute(),
  ]);
  const stepsOf = Map.groupBy(steps.map(toStep), (step) => step.jobId);
  const transitionsOf = Map.groupBy(transitions.map(toTransition), (change) => change.jobId);
  const jobs: EndedJobFacts[] = [];
  const failed: { jobId: string; error: unknown }[] = [];
  for (const row of rows) {
    try {
      const job = toJob(row);
      jobs.push({
        job,
        steps: stepsOf.get(job.id) ?? [],
        transitions: inOrder(transitionsOf.get(job.id) ?? []),
        artifacts: await listUploads(store, { jobId: job.id, attempt: job.attempt, kind: "artifact" }),
      });
    } catch (error) {
      failed.push({ jobId: row.id, error });
    }
  }
  const place = new Map(jobIds.map((id, index) => [id, index]));
  jobs.sort((a, b) => (place.get(a.job.id) ?? 0) - (place.get(b.job.id) ?? 0));
  return { jobs, failed };
}
