import type { Transaction } from "kysely";
import type { LogKey } from "../keys.ts";
import type { Database } from "../schema/schema.ts";

/**
 * The longest row that pieces are joined to, in bytes. Joining a piece writes the row again, so this is about the
 * highest cost of one byte: one page of the database, which is also written for a row of one byte.
 */
const joinedRowBytes = 4096;

/** Rows are joined up to this fraction of the kept bytes, so that dropping a whole row drops little. */
const joinedPart = 64;

/** Longest row that joining may create when `limitBytes` of the log are kept. */
export function joinLimit(limitBytes: number): number {
  return Math.min(joinedRowBytes, Math.floor(limitBytes / joinedPart));
}

/**
 * Adds a small piece to the row that ends where the piece begins, if both together have at most `maxBytes`; false,
 * without a write, when there is no such row. A log in a million pieces of one byte then has 250 rows instead of a
 * million.
 */
export async function joinToRowBefore(
  trx: Transaction<Database>,
  key: LogKey,
  { start, data, maxBytes }: { start: number; data: Uint8Array; maxBytes: number },
): Promise<boolean> {
  if (data.byteLength >= maxBytes || start === 0) return false;
  const row = await trx
    .selectFrom("log_chunks")
    .select(["start_offset", "data"])
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .where("start_offset", ">=", start - maxBytes)
    .where("start_offset", "<", start)
    .where("encoding", "=", "plain")
    .orderBy("start_offset", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined || row.start_offset + row.data.byteLength !== start) return false;
  const length = row.data.byteLength + data.byteLength;
  if (length > maxBytes) return false;
  await trx
    .updateTable("log_chunks")
    .set({ data: Buffer.concat([row.data, data]), length })
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .where("start_offset", "=", row.start_offset)
    .execute();
  return true;
}
