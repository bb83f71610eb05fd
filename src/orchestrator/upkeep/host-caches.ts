import { type CacheContext, createCacheCounts } from "../../attempts/caches/cache-context.ts";
import type { BlobStore } from "../../blobs/blob-store.ts";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { planEviction, planSpace, type SpacePlan, type SpaceRequest } from "../../core/cache/space.ts";
import type { Log } from "../../core/log.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import {
  deleteCacheEntry,
  evictCacheEntry,
  getCacheEntry,
  listEvictableEntries,
} from "../../store/files/cache-entries.ts";
import type { Store } from "../../store/store.ts";
import { createKeyedLock } from "../keyed-lock.ts";
import { cachePlace } from "./sweep-place.ts";

/** The dependencies of a host's cache. */
export interface HostCacheParts {
  readonly config: Pick<OrchestratorConfig, "cache">;
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly hostId: string;
  readonly log: Log;
}

/** The cache of this host, for the server of guests and for upkeep. */
export interface HostCaches extends CacheContext {
  /** Removes entries beyond the limits. Returns the number of removed entries. */
  enforceLimits(): Promise<number>;
  /** Calls `listener` when a sweep for orphan blobs is requested. */
  onSweepRequest(listener: () => void): () => void;
  /** Number of items that upkeep removed since the start, for `/metrics`. */
  readonly removed: { unused: number; beyond_limit: number; without_blob: number; stray_blobs: number };
  /** Bytes of all entries at the last measurement; null before that. */
  sizeBytes: number | null;
}

/** Creates the cache of a host. */
export function createHostCaches(parts: HostCacheParts): HostCaches {
  const { config, store, blobs, log } = parts;
  const place = cachePlace(blobs, parts.hostId);
  // Two concurrent saves would otherwise count the same free space.
  const lock = createKeyedLock();
  const listeners = new Set<() => void>();

  const weigh = async () => {
    const entries = await listEvictableEntries(store, place);
    caches.sizeBytes = entries.reduce((total, entry) => total + entry.size, 0);
    return entries;
  };
  const evict = async (entry: { readonly id: string; readonly lastUsedAt: number }): Promise<boolean> => {
    const stored = await getCacheEntry(store, entry.id);
    if (stored === null || !(await evictCacheEntry(store, entry))) return false;
    await blobs.remove(stored.blob_key);
    log.info({ entry: entry.id, bytes: stored.size_bytes }, "removed a cache entry to make room");
    caches.removed.beyond_limit += 1;
    return true;
  };
  const evictAll = async (ids: readonly string[], entries: Awaited<ReturnType<typeof weigh>>) => {
    let count = 0;
    for (const entry of entries.filter(({ id }) => ids.includes(id))) if (await evict(entry)) count += 1;
    return count;
  };

  const caches: HostCaches = {
    place,
    sharedRefs: config.cache.sharedRefs,
    entryLimitBytes: config.cache.entryBytes,
    counts: createCacheCounts(),
    removed: { unused: 0, beyond_limit: 0, without_blob: 0, stray_blobs: 0 },
    sizeBytes: null,
    freeSpace: (requested) =>
      lock.run("room", async () => {
        const entries = await weigh();
        const plan = planSpace(entries, requested, config.cache);
        if ("refusal" in plan) return refusalText(plan, requested, config.cache);
        await evictAll(plan.evict, entries);
        return null;
      }),
    enforceLimits: () =>
      lock.run("room", async () => {
        const entries = await weigh();
        const count = await evictAll(planEviction(entries, config.cache), entries);
        if (count > 0) await weigh();
        return count;
      }),
    async remove(id) {
      const entry = await getCacheEntry(store, id);
      if (entry === null || !(await deleteCacheEntry(store, id))) return false;
      if (entry.place === place) await blobs.remove(entry.blob_key);
      return true;
    },
    wakeSweep() {
      for (const listener of listeners) listener();
    },
    onSweepRequest(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return caches;
}

function refusalText(
  { refusal }: Extract<SpacePlan, { refusal: string }>,
  requested: SpaceRequest,
  limits: OrchestratorConfig["cache"],
): string {
  const size = formatBytes(requested.size);
  if (refusal === "entry")
    return `the entry has ${size}, more than the limit of ${formatBytes(limits.entryBytes)}`;
  const whose = refusal === "repository" ? "this repository" : "the whole cache";
  const limit = formatBytes(refusal === "repository" ? limits.repositoryBytes : limits.totalBytes);
  return `${size} do not fit into the ${limit} of ${whose}, because running jobs use its other entries`;
}
