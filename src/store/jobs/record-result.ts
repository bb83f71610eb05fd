import type { Transaction } from "kysely";
import type { Database } from "../schema/schema.ts";

/** Records, in the transaction that ends a job, that its result must be published. `endedAt` is in ms since the epoch. */
export async function recordResult(
  trx: Transaction<Database>,
  { jobId, endedAt }: { jobId: string; endedAt: number },
): Promise<void> {
  await trx
    .insertInto("outbox")
    .values({ job_id: jobId, created_at: endedAt, claimed_by: null, claimed_until: null, published_at: null })
    .execute();
}
