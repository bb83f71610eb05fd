import type { Job } from "../../core/job/job.ts";
import { activeStates, type JobState } from "../../core/job/job-state.ts";
import type { RunningJob } from "../../core/schedule/scheduler.ts";
import { boundedLimit, toJob } from "../rows.ts";
import type { Store } from "../store.ts";

/** Maximum number of active jobs of one host that are listed: far above what one host can run. */
const maxActiveListed = 10_000;

/** Number of waiting jobs, of all hosts; counts up to `most` at most, which limits the cost. */
export async function countQueued(store: Store, most: number): Promise<number> {
  const { count } = await store.db
    .selectFrom((jobs) =>
      jobs.selectFrom("jobs").select("id").where("state", "=", "queued").limit(most).as("counted"),
    )
    .select((expression) => expression.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The jobs that occupy a slot of `hostId`, oldest first. Inside a write, the transaction is the `db`. */
export async function listActive(
  { db }: Pick<Store, "db">,
  hostId: string,
  limit: number = maxActiveListed,
): Promise<Job[]> {
  const rows = await db
    .selectFrom("jobs")
    .selectAll()
    .where("host_id", "=", hostId)
    .where("state", "in", activeStates)
    .orderBy("submitted_at")
    .orderBy("id")
    .limit(limit)
    .execute();
  return rows.map(toJob);
}

/** An active job of a host, and whether its guest is kept after a failure: see `countedSlots` of core. */
export interface ActiveJob extends RunningJob {
  readonly onHold: boolean;
}

/** The scheduler's fields of the active jobs of `hostId`, including those whose guests are on hold. */
export async function listSlots(store: Store, hostId: string): Promise<ActiveJob[]> {
  const rows = await store.db
    .selectFrom("jobs")
    .leftJoin("machines", (join) =>
      join.onRef("machines.job_id", "=", "jobs.id").onRef("machines.attempt", "=", "jobs.attempt"),
    )
    .select(["jobs.id", "jobs.label", "jobs.image", "jobs.fair_key", "jobs.state", "machines.hold_until_at"])
    .where("jobs.host_id", "=", hostId)
    .where("jobs.state", "in", activeStates)
    .limit(maxActiveListed)
    .execute();
  return rows.map(({ fair_key, hold_until_at, ...job }) => ({
    ...job,
    fairKey: fair_key,
    onHold: hold_until_at !== null,
  }));
}

/**
 * Number of waiting jobs of all hosts for each label and image with any. The cost grows with the number of waiting
 * jobs.
 */
export async function countQueuedByGroup(store: Store): Promise<QueueCount[]> {
  const rows = await store.db
    .selectFrom("jobs")
    .select((expression) => ["label", "image", expression.fn.countAll<number>().as("jobs")])
    .where("state", "=", "queued")
    .groupBy(["label", "image"])
    .orderBy("label")
    .orderBy("image")
    .execute();
  return rows.map(({ label, image, jobs }) => ({ label, image, queued: Number(jobs) }));
}

/** Number of waiting jobs of one label and image. */
export interface QueueCount {
  readonly label: string;
  readonly image: string;
  readonly queued: number;
}

/**
 * Durations of the label's last finished jobs from claim to end, in ms, newest first. Only verdicts of the job itself
 * count: a cancelled job, or a host's failure, is no indication for the next job.
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
