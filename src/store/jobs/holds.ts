import type { ExpressionBuilder, Transaction } from "kysely";
import type { HoldAnswer, HoldFacts } from "../../core/job/hold.ts";
import { activeStates } from "../../core/job/job-state.ts";
import type { HoldRefusal } from "../../core/request/hold-limits.ts";
import type { AttemptKey } from "../keys.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";
import { presentStates } from "./fence.ts";

/** A request to put a guest on hold with its runner's `Finish`. */
export interface HoldOrder {
  readonly hostId: string;
  /** Gets the number of guests of the host that are on hold already. */
  readonly decide: (onHold: number) => HoldAnswer;
}

/**
 * The columns that record the decision about a hold. Guests of one host that end at once are decided one after the
 * other.
 */
export async function holdColumns(
  trx: Transaction<Database>,
  { requested, at, locks }: { readonly requested: HoldOrder; readonly at: number; readonly locks: boolean },
): Promise<{ hold_until_at?: number; hold_refusal?: HoldRefusal }> {
  // A host's row is locked before its jobs' rows, as in a takeover.
  await trx
    .selectFrom("hosts")
    .select("id")
    .where("id", "=", requested.hostId)
    .$if(locks, (query) => query.forUpdate())
    .execute();
  const answer = requested.decide(await countHolds(trx, requested.hostId));
  if (answer.kind === "granted") return { hold_until_at: at + answer.seconds * 1000 };
  return answer.kind === "refused" ? { hold_refusal: answer.refusal } : {};
}

/** A guest occupies its place until it is gone, even after its hold has ended. */
async function countHolds(trx: Transaction<Database>, hostId: string): Promise<number> {
  const { count } = await trx
    .selectFrom("machines")
    .select((expression) => expression.fn.countAll<number>().as("count"))
    .where("host_id", "=", hostId)
    .where("state", "in", presentStates)
    .where("hold_until_at", "is not", null)
    .where(isUnderWay)
    .executeTakeFirstOrThrow();
  return Number(count);
}

function isUnderWay(expression: ExpressionBuilder<Database, "machines">) {
  return expression.exists(
    expression
      .selectFrom("jobs")
      .select("jobs.id")
      .whereRef("jobs.id", "=", "machines.job_id")
      .whereRef("jobs.attempt", "=", "machines.attempt")
      .where("jobs.state", "in", activeStates),
  );
}

/**
 * Ends the hold of an attempt before its time; false without a hold to end. Only the first call counts. The guest is
 * then removed by its host.
 */
export async function releaseHold(store: Store, release: AttemptKey & { at: number }): Promise<boolean> {
  return store.write(async (trx, announce) => {
    const result = await trx
      .updateTable("machines")
      .set({ hold_released_at: release.at })
      .where("job_id", "=", release.jobId)
      .where("attempt", "=", release.attempt)
      .where("state", "in", presentStates)
      .where("hold_until_at", "is not", null)
      .where("hold_released_at", "is", null)
      .where(isUnderWay)
      .executeTakeFirst();
    if (result.numUpdatedRows > 0n) announce({ kind: "job", jobId: release.jobId });
    return result.numUpdatedRows > 0n;
  });
}

/** The holds of some attempts, by job; attempts without a hold are left out. */
export async function listHolds(
  store: Store,
  attempts: readonly { readonly id: string; readonly attempt: number }[],
): Promise<Map<string, HoldFacts>> {
  if (attempts.length === 0) return new Map();
  const rows = await store.db
    .selectFrom("machines")
    .select(["job_id", "attempt", "hold_until_at", "hold_released_at", "hold_refusal"])
    .where(
      "job_id",
      "in",
      attempts.map(({ id }) => id),
    )
    .execute();
  const attemptOf = new Map(attempts.map(({ id, attempt }) => [id, attempt]));
  return new Map(
    rows
      .filter((row) => row.attempt === attemptOf.get(row.job_id))
      .filter((row) => row.hold_until_at !== null || row.hold_refusal !== null)
      .map((row) => [
        row.job_id,
        {
          holdUntilAt: row.hold_until_at,
          holdReleasedAt: row.hold_released_at,
          holdRefusal: row.hold_refusal,
        },
      ]),
  );
}
