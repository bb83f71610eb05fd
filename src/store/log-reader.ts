import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import type { LogKey } from "./keys.ts";
import type { Store } from "./store.ts";

/** Rows fetched by one query: 16 of the usual 64 KiB, or as many small ones. */
const rowsPerQuery = 16;

/** Plain bytes of a compressed row at most; a row that claims more is damaged, and must not fill the memory. */
export const maxCompactedBytes = 1024 * 1024;

const decompress = promisify(zstdDecompress);

interface Chunk {
  readonly start_offset: number;
  readonly length: number;
  readonly encoding: "plain" | "zstd";
  readonly data: Uint8Array;
}

/**
 * Gives the kept bytes of a log from `start` to `end` (exclusive), piece by piece, in order and without holes. Each query
 * finds its place anew by offset, so that rows may be compacted between two of them.
 */
export async function* readChunks(
  store: Store,
  key: LogKey,
  range: { start: number; end: number },
): AsyncGenerator<Uint8Array> {
  let position = range.start;
  while (position < range.end) {
    const before = position;
    for (const chunk of await chunksFrom(store, key, position)) {
      const from = position - chunk.start_offset;
      const to = Math.min(chunk.length, range.end - chunk.start_offset);
      if (from < 0 || from >= to) break;
      yield (await plainBytes(chunk)).subarray(from, to);
      position = chunk.start_offset + to;
    }
    if (position === before) return;
    // SQLite answers within this turn of the event loop: without a pause, a long log would hold up everybody else.
    if (position < range.end) await nextTurn();
  }
}

/** The row that holds the byte at `position`, and those after it, as one statement sees them. */
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
        .select((inner) => inner.fn.max("first.start_offset").as("start"))
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
