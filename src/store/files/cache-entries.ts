import type { ExpressionBuilder } from "kysely";
import type { EvictableEntry } from "../../core/cache/space.ts";
import { activeStates } from "../../core/job/job-state.ts";
import { boundedLimit } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";
import type { CacheEntry } from "./caches.ts";

/** Selects the entries to list. */
export interface CacheEntryQuery {
  /** Only of this repository. */
  readonly repository?: string;
  /** Only with this key. */
  readonly key?: string;
  /** At most this many. */
  readonly limit: number;
}

/** The entries, latest used first. */
export async function listCacheEntries(store: Store, query: CacheEntryQuery): Promise<CacheEntry[]> {
  const { repository, key } = query;
  return store.db
    .selectFrom("cache_entries")
    .selectAll()
    .$if(repository !== undefined, (entries) => entries.where("repository", "=", repository ?? ""))
    .$if(key !== undefined, (entries) => entries.where("cache_key", "=", key ?? ""))
    .orderBy("last_used_at", "desc")
    .orderBy("id")
    .limit(boundedLimit(query.limit))
    .execute();
}

/** One entry by its id, in any place; null when no entry has it. */
export async function getCacheEntry(store: Store, id: string): Promise<CacheEntry | null> {
  const found = store.db.selectFrom("cache_entries").selectAll().where("id", "=", id);
  return (await found.executeTakeFirst()) ?? null;
}

/** Maximum number of entries that one eviction reads: more than the limit on their number allows. */
const maxEvictable = 30_000;

/** The entries of a place as candidates for eviction: also whether a job in progress reads them. */
export async function listEvictableEntries(store: Store, place: string): Promise<EvictableEntry[]> {
  const rows = await store.db
    .selectFrom("cache_entries")
    .select(["id", "repository", "size_bytes", "last_used_at"])
    .select((entry) => entry.exists(readers(entry)).as("is_read"))
    .where("place", "=", place)
    .orderBy("last_used_at")
    .orderBy("id")
    .limit(maxEvictable)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    repository: row.repository,
    size: row.size_bytes,
    lastUsedAt: row.last_used_at,
    isRead: Boolean(row.is_read),
  }));
}

/** The unfinished attempts that restored an entry: they may be reading it. */
function readers(entry: ExpressionBuilder<Database, "cache_entries">) {
  return entry
    .selectFrom("cache_uses")
    .innerJoin("jobs", (join) =>
      join.onRef("jobs.id", "=", "cache_uses.job_id").onRef("jobs.attempt", "=", "cache_uses.attempt"),
    )
    .select("cache_uses.job_id")
    .whereRef("cache_uses.entry_id", "=", "cache_entries.id")
    .where("cache_uses.action", "=", "restore")
    .where("jobs.state", "in", activeStates);
}

/**
 * Deletes an entry, unless it was used after it was `observed`, or is being read. True when it is deleted; then its
 * blob can be removed too.
 */
export function evictCacheEntry(
  store: Store,
  observed: { readonly id: string; readonly lastUsedAt: number },
): Promise<boolean> {
  return store.write(async (trx) => {
    const result = await trx
      .deleteFrom("cache_entries")
      .where("id", "=", observed.id)
      .where("last_used_at", "=", observed.lastUsedAt)
      .where((entry) => entry.not(entry.exists(readers(entry))))
      .executeTakeFirst();
    return result.numDeletedRows > 0n;
  });
}

/** Deletes an entry even if a job reads it, because a person requested that or the blob is gone. */
export function deleteCacheEntry(store: Store, id: string): Promise<boolean> {
  return store.write(async (trx) => {
    const result = await trx.deleteFrom("cache_entries").where("id", "=", id).executeTakeFirst();
    return result.numDeletedRows > 0n;
  });
}

/** The entry with this blob; null when no entry has it. */
export async function findEntryOfBlob(store: Store, blobKey: string): Promise<CacheEntry | null> {
  const found = store.db.selectFrom("cache_entries").selectAll().where("blob_key", "=", blobKey);
  return (await found.executeTakeFirst()) ?? null;
}

/** The entries of a place with their blobs; as many as eviction reads. */
export async function listPlacedCacheEntries(
  store: Store,
  place: string,
): Promise<{ id: string; blobKey: string }[]> {
  return store.db
    .selectFrom("cache_entries")
    .select(["id", "blob_key as blobKey"])
    .where("place", "=", place)
    .orderBy("id")
    .limit(maxEvictable)
    .execute();
}

/** The entries of all places that were last used before `before`, longest unused first; as many as eviction reads. */
export async function listUnusedCacheEntries(
  store: Store,
  before: number,
): Promise<{ id: string; place: string; blobKey: string; lastUsedAt: number }[]> {
  return store.db
    .selectFrom("cache_entries")
    .select(["id", "place", "blob_key as blobKey", "last_used_at as lastUsedAt"])
    .where("last_used_at", "<", before)
    .orderBy("last_used_at")
    .orderBy("id")
    .limit(maxEvictable)
    .execute();
}
