import type { DatabaseSync } from "node:sqlite";
import { type Kysely, sql } from "kysely";
import type { Database } from "../schema/schema.ts";
import type { Writer } from "../write-queue.ts";
import { withStoreErrors } from "./errors.ts";

/** Pages given back in one transaction: 1 MiB, some milliseconds. Bounds the write-ahead log and the wait of others. */
const pagesPerStep = 256;

/** Free pages that are not worth the copying; they are used again: 16 MiB. */
const spareFreePages = 4096;

/**
 * Gives the pages that deleted rows left free back to the file system, in small transactions, and returns how many bytes
 * that were. A file made before `auto_vacuum` was set keeps its size, and uses its free pages again.
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
  // Each step frees as many pages as it says, or the file cannot shrink: then the next look sees no progress.
  for (let last = Number.POSITIVE_INFINITY; free > spareFreePages && free < last; ) {
    last = free;
    await queue.run(async () =>
      // exec, because `run` would stop after the first page.
      withStoreErrors(path, () => database.exec(`pragma incremental_vacuum(${pagesPerStep})`)),
    );
    free = read("freelist_count");
  }
  // The file itself gets shorter when the write-ahead log is written into it. Passive waits for nobody.
  await sql`pragma wal_checkpoint(passive)`.execute(db);
  return Math.max(0, before - free) * read("page_size");
}
