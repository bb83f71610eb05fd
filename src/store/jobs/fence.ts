import { type ExpressionBuilder, expressionBuilder } from "kysely";
import { machineStates } from "../../core/job/job.ts";
import { activeStates } from "../../core/job/job-state.ts";
import type { AttemptKey } from "../keys.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** The states of a machine that may still exist. Named one by one, so that an index on the state is of use. */
export const presentStates = machineStates.filter((state) => state !== "gone");

/**
 * The id of an attempt's job while the attempt is under way, else nothing; it stays that way until the commit. What a
 * guest or its host writes of an attempt goes through this, so that one whose job was taken over changes nothing. A part
 * of the statement that writes, so that it costs no statement of its own.
 */
export function jobUnderWay(store: Store, attempt: AttemptKey) {
  const builder: ExpressionBuilder<Database, never> = expressionBuilder();
  return (
    builder
      .selectFrom("jobs as under_way")
      .select("under_way.id")
      .where("under_way.id", "=", attempt.jobId)
      .where("under_way.attempt", "=", attempt.attempt)
      .where("under_way.state", "in", activeStates)
      // Where writers run side by side, the row is held against a takeover; SQLite's come one after the other.
      .$if(store.canSkipLocked, (query) => query.forShare())
  );
}
