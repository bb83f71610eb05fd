import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { getCacheEntry } from "../../store/files/cache-entries.ts";
import { end, hostId, insertClaimed } from "../../store/testing/sample-jobs.ts";
import type { Log } from "../context.ts";
import { idOf, openBlobHost } from "../upkeep/testing/blob-host.ts";
import { auditBlobs, type BlobAuditContext } from "./audit-blobs.ts";
import { createAuditState } from "./audit-state.ts";

async function setUp(t: TestContext) {
  const blobHost = await openBlobHost(t);
  const { store, blobs } = blobHost;
  const audits = createAuditState({ isDriven: true });
  const reported: string[] = [];
  const note = (_facts: object, line: string) => void reported.push(line);
  const log = { debug: note, info: note, warn: note, error: note } as Log;
  const context: BlobAuditContext = { store, blobs, audits, log, identity: { hostId } as never };
  return { ...blobHost, context, audits, reported };
}

/** Plants one leak of each kind, and one blob of each kind that is not a leak. */
async function plant(host: Awaited<ReturnType<typeof setUp>>): Promise<{ readonly staged: string }> {
  const { store, blobs, write, begin, keep, keyOf, saveCache, cacheKeyOf } = host;
  for (const id of ["over", "active"]) await insertClaimed(store, id);
  for (const letter of ["a", "b"]) await keep("over", letter, 5);
  await blobs.remove(keyOf("over", "b"));
  await write(keyOf("gone", "c"));
  for (const jobId of ["over", "active"]) await begin(jobId, "d");
  for (const letter of ["a", "b"]) await saveCache("over", letter, 5);
  await blobs.remove(cacheKeyOf("over", "b"));
  await write(cacheKeyOf("gone", "c"));
  await end(store, "over", "completed");
  const staged = (jobId: string) => join(blobs.stagingDirectory, `${jobId}.1.${idOf("e")}`);
  for (const jobId of ["gone", "active"]) writeFileSync(staged(jobId), "half");
  return { staged: staged("gone") };
}

const found = (staged: string) => [
  `artifact_without_blob over b finish`,
  `artifact_without_record gone artifacts/${hostId}/gone/1/${idOf("c")} remove`,
  `cache_blob_without_entry gone cache/${hostId}/gone/1/${idOf("c")} remove`,
  `cache_entry_without_blob over b finish`,
  `stale_temporary_file gone ${staged} remove`,
  `unfinished_upload over d finish`,
];

const summary = ({ leaks }: Awaited<ReturnType<typeof auditBlobs>>) =>
  leaks.map(({ kind, jobId, name, remedy }) => `${kind} ${jobId} ${name} ${remedy}`).toSorted();

test("blobs without a record and records without a blob are reported, and repaired with fix", async (t) => {
  const host = await setUp(t);
  const { context, audits, reported, keyOf, expiredAt, isThere, blobs } = host;
  const { staged } = await plant(host);
  const shown = await auditBlobs(context, { fix: false });
  assert.deepEqual(summary(shown), found(staged));
  for (const { cause, isFixed } of shown.leaks) {
    assert.match(cause, /^[A-Z].{40,}\.$/);
    assert.equal(isFixed, false);
  }
  assert.ok(
    (await blobs.stat(keyOf("gone", "c"))) !== null && existsSync(staged),
    "nothing changed without fix",
  );
  assert.equal(audits.left.artifact_without_record, 1);
  audits.record("host", [], 1);
  assert.equal(audits.left.artifact_without_record, 1, "an audit of the guests keeps the counts of blobs");

  const repaired = await auditBlobs(context, { fix: true });
  assert.deepEqual(summary(repaired), found(staged));
  assert.ok(repaired.leaks.every(({ isFixed }) => isFixed));
  assert.deepEqual(
    [await blobs.stat(keyOf("gone", "c")), existsSync(staged), await getCacheEntry(context.store, "b")],
    [null, false, null],
  );
  assert.ok((await expiredAt("over", "b")) && (await expiredAt("over", "d")));
  assert.equal(await isThere("over", "a"), true);
  assert.deepEqual(reported, Array(6).fill("leak repaired"));
  assert.deepEqual([audits.left.unfinished_upload, audits.repaired.unfinished_upload], [0, 1]);
  assert.deepEqual(await auditBlobs(context, { fix: false }), { leaks: [], problem: null });
});

test("in a shared bucket, blobs of other hosts and installations are neither reported nor removed", async (t) => {
  const { context, blobs, write, keyOf, cacheKeyOf } = await setUp(t);
  const foreign = [
    ...[keyOf("job1", "a", "Other-host"), cacheKeyOf("job1", "a", "Other-host"), "cache/somebody"],
    "artifacts/somebody/else",
  ];
  for (const key of foreign) await write(key);
  const shared = { ...context, blobs: { ...blobs, isShared: true } };
  assert.deepEqual(await auditBlobs(shared, { fix: true }), { leaks: [], problem: null });
  for (const key of foreign) assert.notEqual(await blobs.stat(key), null);
});

test("unreadable blobs are reported as a problem, and a failed removal is reported with its reason", async (t) => {
  const { context, blobs, write, keyOf } = await setUp(t);
  await write(keyOf("gone", "c"));
  const fail = () => {
    throw new Error("The bucket is away.");
  };
  const away = await auditBlobs({ ...context, blobs: { ...blobs, list: fail } }, { fix: true });
  assert.deepEqual(away, { leaks: [], problem: "The bucket is away." });
  const stuck = await auditBlobs({ ...context, blobs: { ...blobs, remove: fail } }, { fix: true });
  assert.deepEqual(
    stuck.leaks.map(({ isFixed, problem }) => ({ isFixed, problem })),
    [{ isFixed: false, problem: "The bucket is away." }],
  );
});
