import type { Transaction } from "kysely";
import type { Database } from "../schema/schema.ts";

/** Jobs that got their verdict in a write. Times are ms since the epoch. */
export interface EndedJob {
  readonly jobId: string;
  readonly endedAt: number;
}

/** Writes down, with the verdict and in its transaction, that a result is to be published. */
export async function recordResults(trx: Transaction<Database>, ended: readonly EndedJob[]): Promise<void> {
  for (const { jobId, endedAt } of ended) {
    await trx
      .insertInto("outbox")
      .values({
        job_id: jobId,
        created_at: endedAt,
        claimed_by: null,
        claimed_until: null,
        published_at: null,
      })
      .execute();
  }
}
