import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { cacheLookups } from "../../core/cache/lookup.ts";
import {
  deleteCacheEntry,
  evictCacheEntry,
  getCacheEntry,
  listCacheEntries,
  listEvictableEntries,
} from "../files/cache-entries.ts";
import {
  type CacheBucket,
  type CacheRestore,
  entryToRead,
  findCacheEntry,
  listCacheUses,
  type NewCacheEntry,
  recordCacheUse,
  restoreCache,
  saveCacheEntryWithin,
} from "../files/caches.ts";
import type { Store } from "../store.ts";
import { end, insertClaimed } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest, openSeveral } from "./test-database.ts";

/** Contract of cache entries: keeping, finding and evicting them. */
export function cachesContract(create: CreateDatabase): void {
  describe("caches", () => {
    describe("are found", () => finding(create));
    describe("are saved", () => saving(create));
    describe("are evicted", () => eviction(create));
  });
}

const scope = { repository: "https://h/a", image: "debian-12", ref: "main" };

function bucket(
  given: Partial<CacheBucket["scope"]> & { pathsId?: string; place?: string } = {},
): CacheBucket {
  const { pathsId = "paths", place = "host-a", ...rest } = given;
  return { scope: { ...scope, ...rest }, pathsId, place };
}

function saveCacheEntry(store: Store, saved: NewCacheEntry): Promise<"saved" | "exists"> {
  return store.write((trx) => saveCacheEntryWithin(trx, saved));
}

interface Given {
  readonly at?: number;
  readonly jobId?: string;
  readonly id?: string;
  readonly in?: CacheBucket;
}

function entry(key: string, given: Given = {}): NewCacheEntry {
  const jobId = given.jobId ?? "saver";
  return {
    jobId,
    attempt: 1,
    index: 0,
    id: given.id ?? `${jobId}-1-${key}-${given.at ?? 100}`,
    bucket: given.in ?? bucket(),
    key,
    sizeBytes: 10,
    sha256: "d".repeat(64),
    compression: "zstd",
    firstPartBytes: 10,
    blobKey: `cache/${given.id ?? `${jobId}-${key}-${given.at ?? 100}`}`,
    at: given.at ?? 100,
  };
}

function requested(
  key: string,
  given: { restoreKeys?: string[]; ref?: string; in?: CacheBucket; jobId?: string } = {},
): CacheRestore {
  const { restoreKeys = [], ref = "main", jobId = "reader" } = given;
  return {
    ...{ jobId, attempt: 1, index: 0, at: 5000 },
    bucket: given.in ?? bucket({ ref }),
    refs: ref === "main" ? ["main"] : [ref, "main"],
    lookups: cacheLookups(key, restoreKeys),
  };
}

async function openWithJobs(
  context: Parameters<typeof openForTest>[0],
  create: CreateDatabase,
): Promise<Store> {
  const store = await openForTest(context, create);
  for (const id of ["saver", "reader"]) await insertClaimed(store, id);
  return store;
}

async function found(store: Store, restore: CacheRestore): Promise<[string, string | null]> {
  const answer = await restoreCache(store, restore);
  assert.ok(answer);
  return [answer.outcome, answer.entry?.cache_key ?? null];
}

function finding(create: CreateDatabase): void {
  test("by the key itself, else the newest that begins with a restore key, else not at all", async (context) => {
    const store = await openWithJobs(context, create);
    await saveCacheEntry(store, entry("npm-1", { at: 100 }));
    await saveCacheEntry(store, entry("npm-2", { at: 300 }));
    await saveCacheEntry(store, entry("npm-3", { at: 200 }));
    await saveCacheEntry(store, entry("cargo-1", { at: 400 }));
    assert.deepEqual(await found(store, requested("npm-1")), ["hit", "npm-1"]);
    assert.deepEqual(await found(store, requested("npm-9")), ["miss", null]);
    assert.deepEqual(await found(store, requested("npm-9", { restoreKeys: ["npm-"] })), ["partial", "npm-2"]);
    assert.deepEqual(await found(store, requested("npm-9", { restoreKeys: ["n/", "cargo", "npm-"] })), [
      "partial",
      "cargo-1",
    ]);
    assert.deepEqual(await found(store, requested("npm-", { restoreKeys: ["npm-"] })), ["partial", "npm-2"]);
    assert.deepEqual(await found(store, requested("np_-1", { restoreKeys: ["np_", "np%"] })), ["miss", null]);
  });

  test("never for another repository, image, ref, list of paths or host", async (context) => {
    const store = await openWithJobs(context, create);
    for (const [at, other] of [
      bucket({ repository: "https://h/b" }),
      bucket({ image: "omnios" }),
      bucket({ ref: "topic" }),
      bucket({ pathsId: "others" }),
      bucket({ place: "host-b" }),
    ].entries()) {
      assert.equal(await saveCacheEntry(store, entry("k", { in: other, id: `other-${at}` })), "saved");
    }
    assert.deepEqual(await found(store, requested("k", { restoreKeys: ["k"] })), ["miss", null]);
    assert.deepEqual(await found(store, requested("k", { ref: "topic" })), ["hit", "k"]);
  });

  test("an older entry of the own ref comes before an entry of the shared ref", async (context) => {
    const store = await openWithJobs(context, create);
    const own = bucket({ ref: "topic" });
    await saveCacheEntry(store, entry("k-own", { at: 100, in: own }));
    await saveCacheEntry(store, entry("k-main", { at: 200 }));
    assert.deepEqual(await found(store, requested("k", { ref: "topic", restoreKeys: ["k-"] })), [
      "partial",
      "k-own",
    ]);
    assert.deepEqual(await found(store, requested("k-main", { ref: "topic", restoreKeys: ["k-"] })), [
      "hit",
      "k-main",
    ]);
    assert.deepEqual(await found(store, requested("k", { restoreKeys: ["k-"] })), ["partial", "k-main"]);
  });

  test("with the same result as a plain search through all entries", async (context) => {
    const store = await openWithJobs(context, create);
    const text = fc.stringMatching(/^[a-c/~._-]{1,4}$/);
    const refs = fc.constantFrom("main", "topic");
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(text, refs), { maxLength: 12, selector: (one) => one.join() }),
        fc.tuple(text, fc.array(text, { maxLength: 3 }), refs),
        async (saved, [key, restoreKeys, ref]) => {
          round += 1;
          const pathsId = `round-${round}`;
          const entries = saved.map(([savedKey, savedRef], at) =>
            entry(savedKey, {
              at: (at * 7) % 12,
              id: `${round}-${at}`,
              in: bucket({ ref: savedRef, pathsId }),
            }),
          );
          for (const one of entries) await saveCacheEntry(store, one);
          const restore = requested(key, { ref, restoreKeys, in: bucket({ ref, pathsId }) });
          const answer = await restoreCache(store, restore);
          const expected = restore.lookups
            .map(({ kind, text: wanted }) =>
              entries
                .filter((one) => restore.refs.includes(one.bucket.scope.ref))
                .filter((one) => (kind === "exact" ? one.key === wanted : one.key.startsWith(wanted)))
                .sort(
                  (a, b) =>
                    Number(b.bucket.scope.ref === ref) - Number(a.bucket.scope.ref === ref) || b.at - a.at,
                )
                .at(0),
            )
            .find((one) => one !== undefined);
          assert.equal(answer?.entry?.id, expected?.id);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("only by an attempt in progress, and each use is recorded", async (context) => {
    const store = await openWithJobs(context, create);
    await saveCacheEntry(store, entry("k"));
    assert.equal(
      (await entryToRead(store, { jobId: "reader", attempt: 1, entryId: entry("k").id }))?.id,
      undefined,
    );
    await restoreCache(store, requested("k"));
    assert.equal(
      (await entryToRead(store, { jobId: "reader", attempt: 1, entryId: entry("k").id }))?.cache_key,
      "k",
    );
    const saver = await listCacheUses(store, { jobId: "saver", attempt: 1 });
    assert.deepEqual(
      saver.map(({ action, outcome, cache_key, size_bytes }) => [action, outcome, cache_key, size_bytes]),
      [["save", "saved", "k", 10]],
    );
    const reader = await listCacheUses(store, { jobId: "reader", attempt: 1 });
    assert.deepEqual(
      reader.map(({ action, outcome }) => [action, outcome]),
      [["restore", "hit"]],
    );
    assert.deepEqual(
      [await getCacheEntry(store, entry("k").id)].map((one) => [one?.uses, one?.last_used_at]),
      [[1, 5000]],
    );
    await end(store, "reader", "completed");
    assert.equal(await restoreCache(store, requested("k")), null);
    assert.equal(await restoreCache(store, { ...requested("k"), attempt: 2 }), null);
    await recordCacheUse(store, {
      ...requested("k"),
      action: "save",
      outcome: "exists",
      key: "k",
      entryId: null,
      sizeBytes: 0,
    });
    assert.equal((await listCacheUses(store, { jobId: "reader", attempt: 1 })).length, 1);
  });
}

function saving(create: CreateDatabase): void {
  test("after concurrent saves of one key, one entry is visible", async (context) => {
    const stores = await openSeveral(context, create, 2);
    for (const id of ["job0", "job1", "job2", "job3"]) await insertClaimed(stores[0] as Store, id);
    const outcomes = await Promise.all(
      ["job0", "job1", "job2", "job3"].map((jobId, at) =>
        saveCacheEntry(stores[at % 2] as Store, entry("k", { jobId })),
      ),
    );
    assert.deepEqual(outcomes.sort(), ["exists", "exists", "exists", "saved"]);
    const listed = await listCacheEntries(stores[0] as Store, { limit: 10 });
    assert.equal(listed.length, 1);
    assert.ok(
      await findCacheEntry(stores[1] as Store, { bucket: bucket(), refs: ["topic", "main"], key: "k" }),
    );
    assert.equal(
      await findCacheEntry(stores[1] as Store, { bucket: bucket(), refs: ["topic"], key: "k" }),
      null,
    );
    const winner = listed[0]?.job_id ?? "";
    assert.equal(
      await saveCacheEntry(stores[1] as Store, entry("k", { jobId: winner })),
      "saved",
      "a repeat",
    );
  });

  test("an entry is never changed by a later save", async (context) => {
    const store = await openWithJobs(context, create);
    await saveCacheEntry(store, entry("k"));
    await saveCacheEntry(store, { ...entry("k", { jobId: "reader" }), sha256: "e".repeat(64) });
    assert.deepEqual(
      (await listCacheEntries(store, { limit: 10 })).map((one) => one.sha256),
      ["d".repeat(64)],
    );
  });
}

function eviction(create: CreateDatabase): void {
  test("an entry restored by a job in progress stays, and an entry used since it was listed", async (context) => {
    const store = await openWithJobs(context, create);
    await saveCacheEntry(store, entry("k", { at: 100 }));
    await saveCacheEntry(store, entry("other", { at: 100 }));
    const before = await listEvictableEntries(store, "host-a");
    assert.deepEqual(
      before.map(({ isRead, size, lastUsedAt }) => [isRead, size, lastUsedAt]),
      [
        [false, 10, 100],
        [false, 10, 100],
      ],
    );
    await restoreCache(store, { ...requested("k"), at: 50 });
    const k = entry("k", { at: 100 }).id;
    assert.equal(await evictCacheEntry(store, { id: k, lastUsedAt: 100 }), false, "used since");
    assert.equal(await evictCacheEntry(store, { id: k, lastUsedAt: 101 }), false, "read now");
    assert.equal((await listEvictableEntries(store, "host-a")).filter((one) => one.isRead).length, 1);
    await end(store, "reader", "completed");
    assert.equal(await evictCacheEntry(store, { id: k, lastUsedAt: 101 }), true);
    assert.equal(await evictCacheEntry(store, { id: k, lastUsedAt: 101 }), false);
    assert.deepEqual(await listEvictableEntries(store, "host-b"), []);
  });

  test("a person can delete an entry that is being read; listings are by repository and key", async (context) => {
    const store = await openWithJobs(context, create);
    await saveCacheEntry(store, entry("k"));
    await saveCacheEntry(store, entry("k", { id: "b", in: bucket({ repository: "https://h/b" }) }));
    await restoreCache(store, requested("k"));
    assert.equal((await listCacheEntries(store, { limit: 1 })).length, 1);
    const listed = await listCacheEntries(store, { repository: "https://h/b", key: "k", limit: 10 });
    assert.deepEqual(
      listed.map((one) => one.id),
      ["b"],
    );
    assert.deepEqual(await listCacheEntries(store, { key: "x", limit: 10 }), []);
    assert.equal(await deleteCacheEntry(store, entry("k").id), true);
    assert.equal(await deleteCacheEntry(store, entry("k").id), false);
    assert.equal(await entryToRead(store, { jobId: "reader", attempt: 1, entryId: entry("k").id }), null);
    assert.deepEqual((await listCacheUses(store, { jobId: "reader", attempt: 1 })).length, 1);
  });
}
