import { promisify } from "node:util";
import { zstdCompress } from "node:zlib";
import type { Transaction } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import type { AttemptKey, LogKey } from "../keys.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";
import { maxCompactedBytes } from "./log-reader.ts";

/** Maximum number of rows that are joined: limits the memory and the transaction when a log arrived in tiny pieces. */
const maxJoinedRows = 4096;

/** A log of at most this size is not compacted. */
const smallRows = 8;
const smallBytes = 2048;

const compress = promisify(zstdCompress);

interface Run {
  readonly offsets: readonly number[];
  readonly length: number;
  readonly data: Buffer;
}

/**
 * Compacts the logs of an attempt that is over, except logs so small that it would save nothing: most jobs of a busy
 * host print one screen of text.
 */
export async function compactLogs(store: Store, attempt: AttemptKey): Promise<void> {
  const logs = await store.db
    .selectFrom("log_chunks")
    .select((row) => [
      "stream",
      row.fn.countAll<number>().as("rows"),
      row.fn.sum<number>("length").as("bytes"),
    ])
    .where("job_id", "=", attempt.jobId)
    .where("attempt", "=", attempt.attempt)
    .where("encoding", "=", "plain")
    .groupBy("stream")
    .execute();
  for (const { stream, rows, bytes } of logs) {
    if (rows > smallRows || bytes > smallBytes) await compactLog(store, { ...attempt, stream });
  }
}

/**
 * Replaces a finished log's rows by compressed ones of 1 MiB before compression. Each replacement is one transaction:
 * the call is idempotent and can be killed anywhere, and a reader sees either form.
 */
export async function compactLog(store: Store, key: LogKey): Promise<void> {
  for (let from = 0; ; ) {
    const run = await nextRun(store, key, from);
    if (run === null) return;
    await replace(store, key, run);
    from = (run.offsets[0] ?? 0) + run.length;
  }
}

/** The next plain rows without a gap between them, up to 1 MiB; null without plain rows. */
async function nextRun(store: Store, key: LogKey, from: number): Promise<Run | null> {
  const sizes = await plainRows(store, key)
    .select(["start_offset", "length"])
    .where("start_offset", ">=", from)
    .orderBy("start_offset")
    .limit(maxJoinedRows)
    .execute();
  const offsets: number[] = [];
  let length = 0;
  for (const row of sizes) {
    const touches = offsets[0] === undefined || row.start_offset === offsets[0] + length;
    if (!touches || length + row.length > maxCompactedBytes) break;
    offsets.push(row.start_offset);
    length += row.length;
  }
  const [first, last] = [offsets[0], offsets.at(-1)];
  if (first === undefined || last === undefined) return null;
  const rows = await plainRows(store, key)
    .select("data")
    .where("start_offset", ">=", first)
    .where("start_offset", "<=", last)
    .orderBy("start_offset")
    .execute();
  return { offsets, length, data: Buffer.concat(rows.map((row) => row.data)) };
}

function plainRows(store: Store, key: LogKey) {
  return store.db
    .selectFrom("log_chunks")
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .where("encoding", "=", "plain");
}

async function replace(store: Store, key: LogKey, run: Run): Promise<void> {
  const [first, last] = [run.offsets[0] ?? 0, run.offsets.at(-1) ?? 0];
  const data = await compress(run.data);
  await store.write(async (trx) => {
    const removed = await trx
      .deleteFrom("log_chunks")
      .where("job_id", "=", key.jobId)
      .where("attempt", "=", key.attempt)
      .where("stream", "=", key.stream)
      .where("encoding", "=", "plain")
      .where("start_offset", ">=", first)
      .where("start_offset", "<=", last)
      .executeTakeFirst();
    // Another process compacted the same rows meanwhile: its result stays.
    if (removed.numDeletedRows === 0n) return;
    if (removed.numDeletedRows !== BigInt(run.offsets.length)) throw changedMeanwhile(key);
    await trx
      .insertInto("log_chunks")
      .values({
        job_id: key.jobId,
        attempt: key.attempt,
        stream: key.stream,
        start_offset: first,
        length: run.length,
        encoding: "zstd",
        data,
      })
      .execute();
    await countStoredBytes(trx, key, data.byteLength - run.length);
  });
}

/** Adds the difference, since plain rows take as many bytes as they hold. */
async function countStoredBytes(trx: Transaction<Database>, key: LogKey, change: number): Promise<void> {
  await trx
    .updateTable("logs")
    .set((expression) => ({ stored_bytes: expression("stored_bytes", "+", change) }))
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream)
    .execute();
}

function changedMeanwhile(key: LogKey): SolsticeError {
  const log = `${key.stream} log of job ${key.jobId}`;
  return new SolsticeError("conflict", `The ${log} was changed during its compaction; nothing was written.`);
}
