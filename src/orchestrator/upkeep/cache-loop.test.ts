import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { listCacheEntries } from "../../store/files/cache-entries.ts";
import { end, hostId, insertClaimed } from "../../store/testing/sample-jobs.ts";
import { type CacheUpkeepContext, tidyCache } from "./cache-loop.ts";
import { createHostCaches } from "./host-caches.ts";
import { openBlobHost } from "./testing/blob-host.ts";

const dayMs = 86_400_000;

/** A host with a cache; entries expire after `retentionDays` without use (0: never). */
async function setUp(t: TestContext, retentionDays: number) {
  const blobHost = await openBlobHost(t);
  const { store, blobs } = blobHost;
  const note = () => {};
  const log = { debug: note, info: note, warn: note, error: note } as unknown as CacheUpkeepContext["log"];
  const limits = { entryBytes: 0, repositoryBytes: 0, totalBytes: 0 };
  const cache = { retentionSeconds: (retentionDays * dayMs) / 1000, sharedRefs: [], ...limits };
  const config = { cache } as unknown as OrchestratorConfig;
  const caches = createHostCaches({ config, store, blobs, hostId, log });
  const host: CacheUpkeepContext = { config, store, blobs, caches, log, identity: { hostId } as never };
  const names = async () => (await listCacheEntries(store, { limit: 9 })).map(({ id }) => id).toSorted();
  return { ...blobHost, host, caches, names };
}

test("an entry unused for long is removed with its blob; an entry used since stays", async (t) => {
  const { host, caches, store, blobs, saveCache, useCache, cacheKeyOf, names } = await setUp(t, 7);
  for (const id of ["saver", "reader"]) await insertClaimed(store, id);
  for (const letter of ["a", "b"]) await saveCache("saver", letter, dayMs);
  await end(store, "saver", "completed");
  await tidyCache(host, 8 * dayMs);
  assert.deepEqual(await names(), ["a", "b"], "an entry of exactly the limit's age stays");
  await useCache("reader", "b", 5 * dayMs);
  await end(store, "reader", "completed");
  await tidyCache(host, 8 * dayMs + 1);
  assert.deepEqual(await names(), ["b"]);
  assert.equal(await blobs.stat(cacheKeyOf("saver", "a")), null);
  assert.notEqual(await blobs.stat(cacheKeyOf("saver", "b")), null);
  assert.deepEqual(caches.removed, { unused: 1, beyond_limit: 0, without_blob: 0, stray_blobs: 0 });
  await tidyCache(host, 12 * dayMs + 1);
  assert.deepEqual(await names(), [], "the second entry is removed later");
});

test("an entry that a job reads stays at any age, and without a retention all entries stay", async (t) => {
  const { host, store, saveCache, useCache, names } = await setUp(t, 7);
  for (const id of ["saver", "reader"]) await insertClaimed(store, id);
  await saveCache("saver", "a", dayMs);
  await useCache("reader", "a", 2 * dayMs);
  await tidyCache(host, 100 * dayMs);
  assert.deepEqual(await names(), ["a"]);
  await end(store, "reader", "completed");
  await tidyCache(host, 100 * dayMs);
  assert.deepEqual(await names(), []);
  await saveCache("saver", "b", dayMs);
  const kept = { ...host, config: { ...host.config, cache: { ...host.config.cache, retentionSeconds: 0 } } };
  await tidyCache(kept, 1000 * dayMs);
  assert.deepEqual(await names(), ["b"]);
});

test("a blob without an entry and an entry without a blob are removed; those of others stay", async (t) => {
  const { host, caches, store, blobs, write, saveCache, cacheKeyOf, names } = await setUp(t, 0);
  await insertClaimed(store, "saver");
  await saveCache("saver", "a", 1);
  await saveCache("saver", "b", 1);
  await blobs.remove(cacheKeyOf("saver", "b"));
  const foreign = cacheKeyOf("saver", "c", "Other-host");
  for (const key of [cacheKeyOf("saver", "d"), foreign]) await write(key);
  await tidyCache(host, Date.now());
  assert.deepEqual(await names(), ["a"]);
  assert.equal(await blobs.stat(cacheKeyOf("saver", "d")), null);
  assert.notEqual(await blobs.stat(foreign), null);
  const { without_blob, stray_blobs } = caches.removed;
  assert.deepEqual({ without_blob, stray_blobs }, { without_blob: 1, stray_blobs: 1 });
});
