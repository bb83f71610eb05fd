import type { Selectable, Transaction } from "kysely";
import {
  type CacheLookup,
  endOfPrefix,
  type RestoreOutcome,
  restoreOutcome,
} from "../../core/cache/lookup.ts";
import type { CacheScope } from "../../core/cache/scope.ts";
import type { Job } from "../../core/job/job.ts";
import { jobUnderWay } from "../jobs/fence.ts";
import type { AttemptKey } from "../keys.ts";
import { toJob } from "../rows.ts";
import type { CacheEntriesTable, CacheUsesTable, Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** A whole entry of the cache; the columns of its table. */
export type CacheEntry = Selectable<CacheEntriesTable>;

/** An attempt's use of one cache of its request. */
export type CacheUse = Selectable<CacheUsesTable>;

/** The part of the table in which the entries of one cache are searched. */
export interface CacheBucket {
  readonly scope: CacheScope;
  readonly pathsId: string;
  /** See the column `place` of the table. */
  readonly place: string;
}

/** Names one cache of one attempt. */
export interface CacheOfAttempt extends AttemptKey {
  readonly index: number;
}

/** A restore that a guest requests. */
export interface CacheRestore extends CacheOfAttempt {
  readonly bucket: CacheBucket;
  /** The refs whose entries may be restored, the job's own first. */
  readonly refs: readonly string[];
  /** Searched one after the other; see `cacheLookups`. The first is for the key itself. */
  readonly lookups: readonly CacheLookup[];
  readonly at: number;
}

/**
 * Finds the entry to restore, and records its use, so that the entry stays while the attempt is in progress. Null when
 * the attempt is over. A repeat may find another entry.
 */
export function restoreCache(
  store: Store,
  requested: CacheRestore,
): Promise<{ outcome: RestoreOutcome; entry: CacheEntry | null; isRepeat: boolean } | null> {
  return store.write(async (trx, announce) => {
    if (!(await isUnderWay(store, trx, requested))) return null;
    const isRepeat = (await findUse(trx, { ...requested, action: "restore" })) !== undefined;
    const entry = await takeEntry(store, trx, requested);
    const key = requested.lookups[0]?.text ?? "";
    const outcome = restoreOutcome(entry?.cache_key ?? null, key);
    await recordUse(trx, {
      ...requested,
      action: "restore",
      outcome,
      key: entry?.cache_key ?? key,
      entryId: entry?.id ?? null,
      sizeBytes: entry?.size_bytes ?? 0,
    });
    announce({ kind: "job", jobId: requested.jobId });
    return { outcome, entry, isRepeat };
  });
}

async function isUnderWay(store: Store, trx: Transaction<Database>, attempt: AttemptKey): Promise<boolean> {
  const job = trx.selectFrom(jobUnderWay(store, attempt).as("fenced")).select("fenced.id");
  return (await job.executeTakeFirst()) !== undefined;
}

/** Finds an entry and marks it as used; continues the search if another transaction evicted it in between. */
async function takeEntry(
  store: Store,
  trx: Transaction<Database>,
  requested: CacheRestore,
): Promise<CacheEntry | null> {
  for (const lookup of requested.lookups) {
    const found = await lookUp(store, trx, requested, lookup);
    if (found === undefined) continue;
    // Always later than before: eviction compares this time, and must not miss a concurrent use.
    const last_used_at = Math.max(requested.at, found.last_used_at + 1);
    await trx
      .updateTable("cache_entries")
      .set((entry) => ({ last_used_at, uses: entry("uses", "+", 1) }))
      .where("id", "=", found.id)
      .execute();
    return { ...found, last_used_at, uses: found.uses + 1 };
  }
  return null;
}

function lookUp(
  store: Store,
  trx: Transaction<Database>,
  requested: CacheRestore,
  { kind, text }: CacheLookup,
): Promise<CacheEntry | undefined> {
  const own = requested.refs[0] ?? "";
  return inBucket(trx, requested.bucket)
    .where("ref", "in", requested.refs)
    .where("cache_key", ">=", text)
    .where("cache_key", kind === "exact" ? "<=" : "<", kind === "exact" ? text : endOfPrefix(text))
    .orderBy((entry) => entry.case().when("ref", "=", own).then(0).else(1).end())
    .orderBy("created_at", "desc")
    .orderBy("id")
    .limit(1)
    .$if(store.canSkipLocked, (query) => query.forUpdate())
    .executeTakeFirst();
}

function inBucket(db: Transaction<Database> | Store["db"], { scope, pathsId, place }: CacheBucket) {
  return db
    .selectFrom("cache_entries")
    .selectAll()
    .where("repository", "=", scope.repository)
    .where("image", "=", scope.image)
    .where("paths_id", "=", pathsId)
    .where("place", "=", place);
}

/** The entry with exactly this key that one of these refs saved; null without one. The first ref is preferred. */
export async function findCacheEntry(
  store: Store,
  wanted: { readonly bucket: CacheBucket; readonly refs: readonly string[]; readonly key: string },
): Promise<CacheEntry | null> {
  const own = wanted.refs[0] ?? "";
  const found = inBucket(store.db, wanted.bucket)
    .where("ref", "in", wanted.refs)
    .where("cache_key", "=", wanted.key)
    .orderBy((entry) => entry.case().when("ref", "=", own).then(0).else(1).end())
    .limit(1);
  return (await found.executeTakeFirst()) ?? null;
}

/** An entry whose blob is complete. */
export interface NewCacheEntry extends CacheOfAttempt {
  readonly id: string;
  readonly bucket: CacheBucket;
  readonly key: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly compression: CacheEntry["compression"];
  readonly firstPartBytes: number;
  readonly blobKey: string;
  readonly at: number;
}

/**
 * Makes an entry visible, as a part of the write that records its blob as complete, for an attempt in progress.
 * `exists` when another save of the key was first: then the blob is not needed.
 */
export async function saveCacheEntryWithin(
  trx: Transaction<Database>,
  entry: NewCacheEntry,
): Promise<"saved" | "exists"> {
  await trx
    .insertInto("cache_entries")
    .values(rowOf(entry))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const ours = await trx
    .selectFrom("cache_entries")
    .select("id")
    .where("id", "=", entry.id)
    .executeTakeFirst();
  const outcome = ours === undefined ? "exists" : "saved";
  await recordUse(trx, { ...entry, action: "save", outcome, entryId: ours?.id ?? null });
  return outcome;
}

function rowOf(entry: NewCacheEntry) {
  const { bucket } = entry;
  return {
    id: entry.id,
    place: bucket.place,
    ...bucket.scope,
    paths_id: bucket.pathsId,
    cache_key: entry.key,
    size_bytes: entry.sizeBytes,
    sha256: entry.sha256,
    compression: entry.compression,
    first_part_bytes: entry.firstPartBytes,
    blob_key: entry.blobKey,
    job_id: entry.jobId,
    created_at: entry.at,
    last_used_at: entry.at,
  };
}

/** The record of a restore or save. */
export interface CacheUseRecord extends CacheOfAttempt {
  readonly action: CacheUse["action"];
  readonly outcome: CacheUse["outcome"];
  readonly key: string;
  readonly entryId: string | null;
  readonly sizeBytes: number;
  readonly at: number;
}

/**
 * Records the outcome of a save that made no entry; records nothing when the attempt is over. True when the outcome was
 * not recorded before.
 */
export async function recordCacheUse(store: Store, use: CacheUseRecord): Promise<boolean> {
  return store.write(async (trx, announce) => {
    if (!(await isUnderWay(store, trx, use))) return false;
    const before = await findUse(trx, use);
    await recordUse(trx, use);
    announce({ kind: "job", jobId: use.jobId });
    return before?.outcome !== use.outcome;
  });
}

function findUse(db: Store["db"], use: CacheOfAttempt & { action: CacheUse["action"] }) {
  return db
    .selectFrom("cache_uses")
    .selectAll()
    .where("job_id", "=", use.jobId)
    .where("attempt", "=", use.attempt)
    .where("cache_index", "=", use.index)
    .where("action", "=", use.action)
    .executeTakeFirst();
}

async function recordUse(trx: Transaction<Database>, use: CacheUseRecord): Promise<void> {
  const columns = {
    outcome: use.outcome,
    cache_key: use.key,
    entry_id: use.entryId,
    size_bytes: use.sizeBytes,
    at: use.at,
  };
  await trx
    .insertInto("cache_uses")
    .values({
      job_id: use.jobId,
      attempt: use.attempt,
      cache_index: use.index,
      action: use.action,
      ...columns,
    })
    .onConflict((conflict) =>
      conflict.columns(["job_id", "attempt", "cache_index", "action"]).doUpdateSet(columns),
    )
    .execute();
}

/** An attempt's uses of its caches, in the order of its request, restores before saves. */
export async function listCacheUses(store: Store, key: AttemptKey): Promise<CacheUse[]> {
  return store.db
    .selectFrom("cache_uses")
    .selectAll()
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .orderBy("action")
    .orderBy("cache_index")
    .execute();
}

/** The entry with this id, if the attempt was given it to restore: only then it may read the entry. */
export async function entryToRead(
  store: Store,
  reader: AttemptKey & { readonly entryId: string },
): Promise<CacheEntry | null> {
  const found = store.db
    .selectFrom("cache_uses")
    .innerJoin("cache_entries", "cache_entries.id", "cache_uses.entry_id")
    .selectAll("cache_entries")
    .where("cache_uses.job_id", "=", reader.jobId)
    .where("cache_uses.attempt", "=", reader.attempt)
    .where("cache_uses.action", "=", "restore")
    .where("cache_entries.id", "=", reader.entryId)
    .limit(1);
  return (await found.executeTakeFirst()) ?? null;
}

/** The job, read within a write. */
export async function jobWithin(trx: Transaction<Database>, jobId: string): Promise<Job> {
  return toJob(await trx.selectFrom("jobs").selectAll().where("id", "=", jobId).executeTakeFirstOrThrow());
}
