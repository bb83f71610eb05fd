import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import type { LogKey } from "../keys.ts";
import type { Store } from "../store.ts";

/** Rows fetched by one query: 16 of the usual 64 KiB, or as many small ones. */
const rowsPerQuery = 16;

/**
 * Maximum number of plain bytes of a compressed row; a row that claims more is damaged, and must not fill the memory.
 */
export const maxCompactedBytes = 1024 * 1024;

/** Maximum number of bytes of one append, and of one read. */
export const maxLogPayloadBytes = 8 * 1024 * 1024;

const decompress = promisify(zstdDecompress);

interface Chunk {
  readonly start_offset: number;
  readonly length: number;
  readonly encoding: "plain" | "zstd";
  readonly data: Uint8Array;
}

/** Some kept bytes of a log, and their offset. */
export interface LogBytes {
  readonly offset: number;
  readonly data: Buffer;
}

interface LogRange {
  readonly offset: number;
  readonly maxBytes: number;
}

/**
 * The log's bytes from `offset` on: `maxBytes` of them (8 MiB at most), fewer only at the end of the kept bytes and
 * before dropped bytes. The result is the same while the log grows or is being compacted, and afterwards.
 */
export async function readLog(store: Store, range: LogKey & LogRange): Promise<Buffer> {
  const { offset, data } = await readLogBeyond(store, range);
  return offset === range.offset ? data : Buffer.alloc(0);
}

/** {@link readLog} from the next kept byte on: if the byte at `offset` was dropped, from a later one. */
export async function readLogBeyond(store: Store, range: LogKey & LogRange): Promise<LogBytes> {
  const maxBytes = Math.min(range.maxBytes, maxLogPayloadBytes);
  const parts: Uint8Array[] = [];
  let { offset } = range;
  let length = 0;
  for await (const part of readChunks(store, range, range.offset)) {
    if (parts.length === 0) offset = part.offset;
    else if (part.offset !== offset + length) break;
    const wanted = part.data.subarray(0, maxBytes - length);
    parts.push(wanted);
    length += wanted.byteLength;
    if (length >= maxBytes) break;
  }
  return { offset, data: Buffer.concat(parts) };
}

/**
 * Yields the kept bytes of a log from `start` on, row by row and in order. Each query finds its position by offset, so
 * that rows may be compacted or dropped between two queries.
 */
async function* readChunks(
  store: Store,
  key: LogKey,
  start: number,
): AsyncGenerator<{ offset: number; data: Uint8Array }> {
  let position = start;
  for (;;) {
    const before = position;
    for (const chunk of await chunksFrom(store, key, position)) {
      const end = chunk.start_offset + chunk.length;
      // The row before a gap ends before the wanted position.
      if (end <= position) continue;
      const offset = Math.max(position, chunk.start_offset);
      yield { offset, data: (await plainBytes(chunk)).subarray(offset - chunk.start_offset) };
      position = end;
    }
    if (position === before) return;
    // SQLite answers within this turn of the event loop: without a pause, a long log would block all other work.
    await nextTurn();
  }
}

/** The row that holds the byte at `position`, and the rows after it, read by one statement. */
function chunksFrom(store: Store, key: LogKey, position: number): Promise<Chunk[]> {
  const ofLog = store.db
    .selectFrom("log_chunks")
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("stream", "=", key.stream);
  return ofLog
    .select(["start_offset", "length", "encoding", "data"])
    .where("start_offset", ">=", (expression) =>
      expression
        .selectFrom("log_chunks as first")
        .select((inner) => inner.fn.coalesce(inner.fn.max("first.start_offset"), inner.val(0)).as("start"))
        .where("first.job_id", "=", key.jobId)
        .where("first.attempt", "=", key.attempt)
        .where("first.stream", "=", key.stream)
        .where("first.start_offset", "<=", position),
    )
    .orderBy("start_offset")
    .limit(rowsPerQuery)
    .execute();
}

async function plainBytes(chunk: Chunk): Promise<Uint8Array> {
  if (chunk.encoding === "plain") return chunk.data;
  return decompress(chunk.data, { maxOutputLength: maxCompactedBytes });
}
