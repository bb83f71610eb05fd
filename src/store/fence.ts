import type { Transaction } from "kysely";
import { activeStates } from "../core/job-state.ts";
import type { AttemptKey } from "./keys.ts";
import type { Database } from "./schema.ts";
import type { Store } from "./store.ts";

/**
 * Whether an attempt is under way; if so it stays that way until the commit. What a guest or its host writes of an attempt
 * goes through this, so that one whose job was taken over changes nothing. Asks on the transaction's connection.
 */
export async function isUnderWay(
  store: Store,
  trx: Transaction<Database>,
  attempt: AttemptKey,
): Promise<boolean> {
  const row = await trx
    .selectFrom("jobs")
    .select("id")
    .where("id", "=", attempt.jobId)
    .where("attempt", "=", attempt.attempt)
    .where("state", "in", activeStates)
    // Where writers run side by side, the row is held against a takeover; SQLite's come one after the other.
    .$if(store.canSkipLocked, (query) => query.forShare())
    .executeTakeFirst();
  return row !== undefined;
}
