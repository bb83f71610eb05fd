import { sql, type Transaction } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import type { JobStep, StepState } from "../../core/job/job.ts";
import type { AttemptKey } from "../keys.ts";
import { toStep } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** Identifies one step of one attempt; `at` is the time of the change. */
export interface StepChange extends AttemptKey {
  readonly index: number;
  readonly at: number;
  /** Length of the attempt's `output` log at that time, in bytes. */
  readonly logOffset: number;
}

/** The steps of an attempt in their order. */
export async function listSteps(store: Store, key: AttemptKey): Promise<JobStep[]> {
  const rows = await store.db
    .selectFrom("steps")
    .selectAll()
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .orderBy("step_index")
    .execute();
  return rows.map(toStep);
}

/** Marks a step as running. A repeat changes nothing. Throws `not_found` when the attempt has no such step. */
export async function startStep(store: Store, change: StepChange): Promise<void> {
  await store.write(async (trx, announce) => {
    const result = await trx
      .updateTable("steps")
      .set({ state: "running", started_at: change.at, log_start: change.logOffset })
      .where("job_id", "=", change.jobId)
      .where("attempt", "=", change.attempt)
      .where("step_index", "=", change.index)
      .where("state", "=", "pending")
      .executeTakeFirst();
    if (result.numUpdatedRows > 0n) announce({ kind: "job", jobId: change.jobId });
    else await requireStep(trx, change);
  });
}

/**
 * Marks a step as ended: succeeded with exit code 0, otherwise failed. A repeat changes nothing. A step without a
 * reported start gets this time as its start. Throws `not_found` when the attempt has no such step.
 */
export async function finishStep(store: Store, change: StepChange & { exitCode: number }): Promise<void> {
  await store.write(async (trx, announce) => {
    const result = await trx
      .updateTable("steps")
      .set({
        state: change.exitCode === 0 ? "succeeded" : "failed",
        exit_code: change.exitCode,
        started_at: sql<number>`coalesce(started_at, ${change.at})`,
        finished_at: change.at,
        log_start: sql<number>`coalesce(log_start, ${change.logOffset})`,
        log_end: change.logOffset,
      })
      .where("job_id", "=", change.jobId)
      .where("attempt", "=", change.attempt)
      .where("step_index", "=", change.index)
      .where("state", "in", ["pending", "running"])
      .executeTakeFirst();
    if (result.numUpdatedRows > 0n) announce({ kind: "job", jobId: change.jobId });
    else await requireStep(trx, change);
  });
}

async function requireStep(trx: Transaction<Database>, change: StepChange): Promise<void> {
  const row = await trx
    .selectFrom("steps")
    .select("state")
    .where("job_id", "=", change.jobId)
    .where("attempt", "=", change.attempt)
    .where("step_index", "=", change.index)
    .executeTakeFirst();
  if (row !== undefined) return;
  const attempt = `attempt ${change.attempt} of job ${change.jobId}`;
  throw new SolsticeError("not_found", `Step ${change.index} does not exist in ${attempt}.`);
}

/**
 * Ends the open steps when the attempt ends, as a part of a larger write: the running step fails without an exit code,
 * the others are skipped. Returns true when a step was open.
 */
export async function closeStepsWithin(
  trx: Transaction<Database>,
  change: AttemptKey & { at: number },
): Promise<boolean> {
  const closed = await trx
    .updateTable("steps")
    .set({
      state: sql<StepState>`case state when 'running' then 'failed' else 'skipped' end`,
      finished_at: sql<
        number | null
      >`case state when 'running' then ${sql.val(change.at)} else finished_at end`,
    })
    .where("job_id", "=", change.jobId)
    .where("attempt", "=", change.attempt)
    .where("state", "in", ["running", "pending"])
    .executeTakeFirst();
  return closed.numUpdatedRows > 0n;
}
