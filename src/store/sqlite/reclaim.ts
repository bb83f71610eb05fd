import type { DatabaseSync } from "node:sqlite";
import { type Kysely, sql } from "kysely";
import type { Database } from "../schema/schema.ts";
import type { Writer } from "../write-queue.ts";
import { withStoreErrors } from "./errors.ts";

/** Pages given back in one transaction: 1 MiB, some milliseconds. Limits the write-ahead log and the wait of others. */
const pagesPerStep = 256;

/** Number of free pages that is not worth the copying, since they are used again: 16 MiB. */
const spareFreePages = 4096;

/**
 * Returns the pages that deleted rows left free to the file system, in small transactions. Returns the number of bytes.
 * A file created before `auto_vacuum` was set keeps its size, and uses its free pages again.
 */
export async function reclaimSpace(
  database: DatabaseSync,
  parts: { readonly db: Kysely<Database>; readonly queue: Writer; readonly path: string },
): Promise<number> {
  const { db, queue, path } = parts;
  const read = (pragma: string) =>
    withStoreErrors(path, () => Number(Object.values(database.prepare(`pragma ${pragma}`).get() ?? {})[0]));
  const before = read("freelist_count");
  let free = before;
  // Each step frees the requested number of pages, or the file cannot shrink: then the next read shows no progress.
  for (let last = Number.POSITIVE_INFINITY; free > spareFreePages && free < last; ) {
    last = free;
    await queue.run(async () =>
      // exec, because `run` would stop after the first page.
      withStoreErrors(path, () => database.exec(`pragma incremental_vacuum(${pagesPerStep})`)),
    );
    free = read("freelist_count");
  }
  // The file gets shorter when the write-ahead log is written into it. A passive checkpoint does not wait for other
  // connections.
  await sql`pragma wal_checkpoint(passive)`.execute(db);
  return Math.max(0, before - free) * read("page_size");
}
