import { sql, type Transaction } from "kysely";
import { SolsticeError } from "../core/errors.ts";
import { jobUnderWay } from "./fence.ts";
import type { LogKey } from "./keys.ts";
import { digestUpTo } from "./log-digest.ts";
import { readChunks } from "./log-reader.ts";

import type { Database } from "./schema.ts";
import type { Store } from "./store.ts";

export { compactLog, compactLogs } from "./log-compaction.ts";

/** The most bytes that one row keeps before compaction. */
export const maxChunkBytes = 64 * 1024;

/** The most bytes that one append takes, and one read gives. */
export const maxLogPayloadBytes = 8 * 1024 * 1024;

/** Some bytes of a log, and where they belong. */
export interface LogAppend extends LogKey {
  readonly offset: number;
  readonly data: Uint8Array;
  /** How much of this log is kept, in bytes. */
  readonly limitBytes: number;
}

interface LogState {
  readonly received: number;
  readonly truncatedAt: number | null;
}

/**
 * Adds bytes to a log, at most once each: what was received before is ignored, so a sender repeats freely. Bytes beyond a
 * gap are not taken: `gap` is then true, and `received` says where to go on. Beyond `limitBytes` (and from then on) bytes
 * are counted, but not kept. Throws `conflict` when the attempt is not under way, and `limit_exceeded` for more than 8 MiB
 * at once.
 */
export async function appendLog(
  store: Store,
  append: LogAppend,
): Promise<{ received: number; gap: boolean }> {
  refuseTooMuch(append.data.byteLength);
  return store.write(async (trx, announce) => {
    const log = await lockLog(store, trx, append);
    if (log === null) throw attemptIsOver(append);
    if (append.offset > log.received) return { received: log.received, gap: true };
    const fresh = append.data.subarray(log.received - append.offset);
    if (fresh.byteLength === 0) return { received: log.received, gap: false };
    const received = log.received + fresh.byteLength;
    const keptEnd = Math.max(log.received, Math.min(received, log.truncatedAt ?? append.limitBytes));
    await insertChunks(trx, append, { start: log.received, data: fresh.subarray(0, keptEnd - log.received) });
    const truncatedAt = log.truncatedAt ?? (keptEnd < received ? keptEnd : null);
    await updateLog(trx, append, { received, truncatedAt, storedBytes: keptEnd - log.received });
    announce({ kind: "log", jobId: append.jobId });
    return { received, gap: false };
  });
}

function attemptIsOver({ jobId, attempt, stream }: LogKey): SolsticeError {
  return new SolsticeError(
    "conflict",
    `Attempt ${attempt} of job ${jobId} is over; its ${stream} log takes no more.`,
  );
}

function refuseTooMuch(bytes: number): void {
  if (bytes <= maxLogPayloadBytes) return;
  throw new SolsticeError("limit_exceeded", `${bytes} bytes of log at once are too many.`, {
    remedy: `Send at most ${maxLogPayloadBytes} bytes at a time.`,
  });
}

/**
 * Creates the log's row, or reads it; either way the row is ours until the commit, on both databases. Null when the attempt
 * is not under way.
 */
async function lockLog(store: Store, trx: Transaction<Database>, key: LogKey): Promise<LogState | null> {
  const row = await trx
    .insertInto("logs")
    .columns(["job_id", "attempt", "stream", "received"])
    .expression(
      jobUnderWay(store, key).select([
        sql.val(key.attempt).as("attempt"),
        sql.val(key.stream).as("stream"),
        sql.lit(0).as("received"),
      ]),
    )
    .onConflict((conflict) =>
      conflict
        .columns(["job_id", "attempt", "stream"])
        .doUpdateSet((expression) => ({ received: expression.ref("logs.received") })),
    )
    .returning(["received", "truncated_at"])
    .executeTakeFirst();
  if (row === undefined) return null;
  return { received: row.received, truncatedAt: row.truncated_at };
}

async function insertChunks(
  trx: Transaction<Database>,
  key: LogKey,
  bytes: { start: number; data: Uint8Array },
): Promise<void> {
  for (let at = 0; at < bytes.data.byteLength; at += maxChunkBytes) {
    const data = bytes.data.subarray(at, at + maxChunkBytes);
    await trx
      .insertInto("log_chunks")
      .values({
        job_id: key.jobId,
        attempt: key.attempt,
        stream: key.stream,
        start_offset: bytes.start + at,
        length: data.byteLength,
        encoding: "plain",
        data,
      })
      .execute();
  }
}

async function updateLog(
  trx: Transaction<Database>,
  key: LogKey,
  state: LogState & { storedBytes: number },
): Promise<void> {
  await trx
    .updateTable("logs")
    .set((expression) => ({
      received: state.received,
      truncated_at: state.truncatedAt,
      stored_bytes: expression("stored_bytes", "+", state.storedBytes),
    }))
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .execute();
}

/**
 * The log's bytes from `offset` on: `maxBytes` of them (8 MiB at most), fewer only at the end of what is kept. The same
 * whether the log grows, is compacted, or is being compacted.
 */
export async function readLog(
  store: Store,
  range: LogKey & { offset: number; maxBytes: number },
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const end = range.offset + Math.min(range.maxBytes, maxLogPayloadBytes);
  for await (const part of readChunks(store, range, { start: range.offset, end })) parts.push(part);
  return Buffer.concat(parts);
}

/** How far a log got, without its digest. */
export interface LogExtent {
  /** Bytes received without a gap, kept or not. */
  readonly received: number;
  /** The offset from which on bytes were not kept; null when all were. */
  readonly truncatedAt: number | null;
  /** When retention removed its bytes, ms since the epoch; null while they are there. */
  readonly expiredAt: number | null;
}

/** How far a log got, and whether it is still there; null for one that never began. Costs one row. */
export async function logExtent(store: Store, key: LogKey): Promise<LogExtent | null> {
  const row = await store.db
    .selectFrom("logs")
    .select(["received", "truncated_at", "expired_at"])
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .executeTakeFirst();
  if (row === undefined) return null;
  return { received: row.received, truncatedAt: row.truncated_at, expiredAt: row.expired_at };
}

/**
 * {@link logExtent} with `sha256` (hex) of everything received, read back from the store; null for a log that was
 * truncated, whose bytes retention removed, or that does not exist.
 */
export async function logStatus(
  store: Store,
  key: LogKey,
): Promise<LogExtent & { readonly sha256: string | null }> {
  const extent = await logExtent(store, key);
  if (extent === null) return { received: 0, truncatedAt: null, expiredAt: null, sha256: null };
  const isThere = extent.truncatedAt === null && extent.expiredAt === null;
  return { ...extent, sha256: isThere ? await digestUpTo(store, key, extent.received) : null };
}
