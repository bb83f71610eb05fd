import { type ExpressionBuilder, expressionBuilder } from "kysely";
import { machineStates } from "../../core/job/job.ts";
import { activeStates } from "../../core/job/job-state.ts";
import type { AttemptKey } from "../keys.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** The states of a machine that may still exist. Listed, so that an index on the state can be used. */
export const presentStates = machineStates.filter((state) => state !== "gone");

/**
 * The id of an attempt's job while the attempt is in progress, otherwise no row; the attempt stays in progress until
 * the commit. All writes by a guest or its host about an attempt include this condition, so that an attempt whose job
 * was taken over cannot change anything. Part of the writing statement, so that it costs no statement of its own.
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
      // PostgreSQL's writers run concurrently: the lock keeps a takeover out. SQLite's run one after the other.
      .$if(store.canSkipLocked, (query) => query.forShare())
  );
}
