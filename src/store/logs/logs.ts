import { sql, type Transaction } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import { type DroppedRange, headBytes, type LogWindow, rangeToDrop } from "../../core/job/log-window.ts";
import { jobUnderWay } from "../jobs/fence.ts";
import type { LogKey } from "../keys.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";
import { addToDigest, digestedBytes, digestOfNothing, type LogDigest } from "./log-digest.ts";
import { joinLimit, joinToRowBefore } from "./log-join.ts";
import { maxLogPayloadBytes } from "./log-reader.ts";
import { dropMiddle } from "./log-tail.ts";

export { compactLog, compactLogs } from "./log-compaction.ts";
export { digestBoundary } from "./log-digest.ts";
export { readLog, readLogBeyond } from "./log-reader.ts";

/** Maximum number of bytes of one row before compaction. */
export const maxChunkBytes = 64 * 1024;

/** Some bytes of a log, and their position. */
export interface LogAppend extends LogKey {
  readonly offset: number;
  /** The written bytes: counted and digested, and stored unless `kept` is given. */
  readonly data: Uint8Array;
  /**
   * The bytes that are stored and shown instead of `data`, of equal length: with secrets masked. In that case no byte
   * of `data` is stored, so the digest's state can be up to one block behind: `data` must begin at or before {@link
   * digestBoundary} of the received length, or the digest is lost.
   */
  readonly kept?: Uint8Array;
  /** Number of bytes of this log to keep: half of it from the beginning, the rest from the end. */
  readonly limitBytes: number;
}

interface LogState extends LogWindow {
  /** Null when the digest was lost. */
  readonly digest: LogDigest | null;
}

/**
 * Adds bytes to a log, each at most once: bytes that were received before are ignored, so a sender may repeat freely.
 * Bytes after a gap are refused: `gap` is then true, and the sender continues at `received`. Beyond `limitBytes` the
 * middle of the log is dropped: its bytes are counted and digested, but not kept. Throws `conflict` when the attempt is
 * over, and `limit_exceeded` for more than 8 MiB at once.
 */
export async function appendLog(
  store: Store,
  append: LogAppend,
): Promise<{ received: number; gap: boolean }> {
  const { data, kept = data } = append;
  refuseTooMuch(data.byteLength);
  if (kept.byteLength !== data.byteLength) throw new RangeError("`kept` must be as long as `data`");
  return store.write(async (trx, announce) => {
    const log = await lockLog(store, trx, append);
    if (log === null) throw attemptIsOver(append);
    if (append.offset > log.received) return { received: log.received, gap: true };
    const known = log.received - append.offset;
    if (data.byteLength <= known) return { received: log.received, gap: false };
    const stored = await storeBytes(trx, { ...append, log, bytes: kept.subarray(known) });
    const received = append.offset + data.byteLength;
    const digest = await digestAfter(log.digest, append);
    await updateLog(trx, append, { received, digest, ...stored });
    announce({ kind: "log", jobId: append.jobId });
    return { received, gap: false };
  });
}

function digestAfter(before: LogDigest | null, { offset, data, kept }: LogAppend): Promise<LogDigest | null> {
  const missing = before === null ? 0 : digestedBytes(before) - offset;
  const known = missing < 0 ? null : before;
  return addToDigest(known, data.subarray(Math.max(0, missing)), { secret: kept !== undefined });
}

/** Stores the next bytes, and makes room for them in the middle of the log. */
async function storeBytes(
  trx: Transaction<Database>,
  append: LogKey & { log: LogState; bytes: Uint8Array; limitBytes: number },
): Promise<{ dropped: DroppedRange | null; storedBytes: number }> {
  const { log, bytes, limitBytes } = append;
  const start = log.received;
  const wanted = rangeToDrop(log, start + bytes.byteLength, limitBytes);
  const { dropped, freedBytes } =
    wanted === null
      ? { dropped: log.dropped, freedBytes: 0 }
      : await dropMiddle(trx, append, { log, wanted });
  const [from, to] = dropped === null ? [Infinity, 0] : [dropped.from, dropped.to];
  const head = bytes.subarray(0, Math.max(0, from - start));
  const tail = from === Infinity ? bytes.subarray(bytes.byteLength) : bytes.subarray(Math.max(0, to - start));
  await insertChunks(trx, append, { start, data: head, limitBytes, splitAt: headBytes(limitBytes) });
  await insertChunks(trx, append, { start: Math.max(start, to), data: tail, limitBytes });
  return { dropped, storedBytes: head.byteLength + tail.byteLength - freedBytes };
}

function attemptIsOver({ jobId, attempt, stream }: LogKey): SolsticeError {
  return new SolsticeError(
    "conflict",
    `Attempt ${attempt} of job ${jobId} is over; its ${stream} log accepts no more bytes.`,
  );
}

function refuseTooMuch(bytes: number): void {
  if (bytes <= maxLogPayloadBytes) return;
  throw new SolsticeError("limit_exceeded", `A log append of ${bytes} bytes is too large.`, {
    remedy: `Send at most ${maxLogPayloadBytes} bytes at a time.`,
  });
}

/** Creates or reads the log's row, and locks it until the commit on both databases. Null when the attempt is over. */
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
    .returning(["received", "dropped_from", "dropped_to", "sha256", "digest_state"])
    .executeTakeFirst();
  if (row === undefined) return null;
  const digest = { sha256: row.sha256 ?? digestOfNothing, state: row.digest_state };
  return {
    received: row.received,
    dropped: toRange(row),
    digest: row.received > 0 && row.digest_state === null ? null : digest,
  };
}

function toRange(row: { dropped_from: number | null; dropped_to: number | null }): DroppedRange | null {
  if (row.dropped_from === null || row.dropped_to === null) return null;
  return { from: row.dropped_from, to: row.dropped_to };
}

/** Inserts rows of 64 KiB at most, and joins small pieces; with `splitAt`, no row has bytes on both sides of it. */
async function insertChunks(
  trx: Transaction<Database>,
  key: LogKey,
  bytes: { start: number; data: Uint8Array; limitBytes: number; splitAt?: number },
): Promise<void> {
  const { start, splitAt = 0 } = bytes;
  const maxBytes = joinLimit(bytes.limitBytes);
  for (let at = 0; at < bytes.data.byteLength; ) {
    const end = start + at < splitAt ? Math.min(at + maxChunkBytes, splitAt - start) : at + maxChunkBytes;
    const piece = { start: start + at, data: bytes.data.subarray(at, end) };
    const joined = piece.start !== splitAt && (await joinToRowBefore(trx, key, { ...piece, maxBytes }));
    if (!joined) await insertChunk(trx, key, piece);
    at += piece.data.byteLength;
  }
}

async function insertChunk(
  trx: Transaction<Database>,
  key: LogKey,
  { start, data }: { start: number; data: Uint8Array },
): Promise<void> {
  await trx
    .insertInto("log_chunks")
    .values({
      job_id: key.jobId,
      attempt: key.attempt,
      stream: key.stream,
      start_offset: start,
      length: data.byteLength,
      encoding: "plain",
      data,
    })
    .execute();
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
      dropped_from: state.dropped?.from ?? null,
      dropped_to: state.dropped?.to ?? null,
      sha256: state.digest?.sha256 ?? null,
      digest_state: state.digest?.state ?? null,
      stored_bytes: expression("stored_bytes", "+", state.storedBytes),
    }))
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .execute();
}

/** Received and kept bytes of a log. */
export interface LogStatus {
  /** Bytes received without a gap, kept or not. */
  readonly received: number;
  /** The bytes in its middle that were not kept; null when all are kept. */
  readonly dropped: DroppedRange | null;
  /** SHA-256 (hex) of everything received, kept or not, before masking; null when it was lost. */
  readonly sha256: string | null;
  /** When retention removed its bytes, ms since the epoch; null before. */
  readonly expiredAt: number | null;
}

/** The status of a log; zero bytes for a log that never began. Costs one row. */
export async function logStatus(store: Store, key: LogKey): Promise<LogStatus> {
  const row = await store.db
    .selectFrom("logs")
    .select(["received", "dropped_from", "dropped_to", "sha256", "expired_at"])
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .executeTakeFirst();
  if (row === undefined) return { received: 0, dropped: null, sha256: digestOfNothing, expiredAt: null };
  const sha256 = row.received === 0 ? digestOfNothing : row.sha256;
  return { received: row.received, dropped: toRange(row), sha256, expiredAt: row.expired_at };
}
