import { deleteCacheEntry } from "../../store/files/cache-entries.ts";
import type { Store } from "../../store/store.ts";
import { type CacheContext, createCacheCounts } from "../caches/cache-context.ts";

/** The cache of host-1, with room for everything; `given` replaces single values. */
export function createTestCaches(store: Store, given: Partial<CacheContext> = {}): CacheContext {
  return {
    place: "host-1",
    sharedRefs: ["main"],
    entryLimitBytes: 0,
    freeSpace: async () => null,
    wakeSweep() {},
    remove: (id) => deleteCacheEntry(store, id),
    counts: createCacheCounts(),
    ...given,
  };
}
