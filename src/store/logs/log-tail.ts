import type { Transaction } from "kysely";
import type { DroppedRange, LogWindow } from "../../core/job/log-window.ts";
import type { LogKey } from "../keys.ts";
import type { Database } from "../schema/schema.ts";

/** Result of dropping the middle of a log. */
interface Drop {
  readonly dropped: DroppedRange | null;
  /** Bytes that the deleted rows took in the store. */
  readonly freedBytes: number;
}

/**
 * Deletes whole rows in a log's middle, so that at least `wanted` is gone, except for the rest of a row at its
 * beginning. Returns the range that is missing afterwards; the caller leaves out bytes of `wanted` that are yet to be
 * stored.
 */
export async function dropMiddle(
  trx: Transaction<Database>,
  key: LogKey,
  { log, wanted }: { log: LogWindow; wanted: DroppedRange },
): Promise<Drop> {
  const from =
    log.dropped?.from ?? (await nextRow(trx, key, wanted.from)) ?? Math.max(wanted.from, log.received);
  const inStore = wanted.to < log.received;
  const to = inStore ? ((await nextRow(trx, key, wanted.to)) ?? log.received) : wanted.to;
  // After the limit was lowered, the range can lie within one row.
  if (to <= from) return { dropped: log.dropped, freedBytes: 0 };
  return { dropped: { from, to }, freedBytes: await deleteRows(trx, key, { from, to }) };
}

async function nextRow(trx: Transaction<Database>, key: LogKey, offset: number): Promise<number | null> {
  const row = await trx
    .selectFrom("log_chunks")
    .select("start_offset")
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .where("start_offset", ">=", offset)
    .orderBy("start_offset")
    .limit(1)
    .executeTakeFirst();
  return row?.start_offset ?? null;
}

async function deleteRows(trx: Transaction<Database>, key: LogKey, range: DroppedRange): Promise<number> {
  const deleted = await trx
    .deleteFrom("log_chunks")
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .where("start_offset", ">=", range.from)
    .where("start_offset", "<", range.to)
    .returning((row) => row.fn<number>("length", ["data"]).as("bytes"))
    .execute();
  return deleted.reduce((sum, { bytes }) => sum + bytes, 0);
}
