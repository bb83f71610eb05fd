import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { end, hostId, insertClaimed } from "../../store/testing/sample-jobs.ts";
import { type FileUpkeepContext, tidyFiles } from "./file-loop.ts";
import { idOf, openBlobHost } from "./testing/blob-host.ts";

const daySeconds = 86_400;

/** A host with blobs, and the context of its upkeep; jobs keep files on it. */
async function setUp(t: TestContext, artifactRetentionSeconds = 0) {
  const blobHost = await openBlobHost(t);
  const { store, blobs } = blobHost;
  const lines: string[] = [];
  const note = (_facts: object, line: string) => void lines.push(line);
  const log = { debug: note, info: note, warn: note, error: note } as unknown as FileUpkeepContext["log"];
  const config = { artifactRetentionSeconds } as OrchestratorConfig;
  const host: FileUpkeepContext = { config, store, blobs, log, identity: { hostId } as never };
  return { ...blobHost, host, lines };
}

test("old artifacts are removed, and new artifacts stay", async (t) => {
  const { host, store, keep, expiredAt, isThere, lines } = await setUp(t, daySeconds);
  await insertClaimed(store, "job1");
  await keep("job1", "a", Date.now() - 2 * daySeconds * 1000);
  await keep("job1", "b", Date.now());
  await tidyFiles(host);
  assert.deepEqual([await isThere("job1", "a"), await isThere("job1", "b")], [false, true]);
  assert.ok((await expiredAt("job1", "a")) && (await expiredAt("job1", "b")) === null);
  assert.deepEqual(lines, ["files of jobs: removed old artifacts"]);
  await tidyFiles(host);
  assert.equal(lines.length, 1);
});

test("a blob without a record is removed, and a record without a blob is marked as expired", async (t) => {
  const { host, store, blobs, write, keep, keyOf, expiredAt, isThere } = await setUp(t);
  await insertClaimed(store, "job1");
  await keep("job1", "a", 5);
  await keep("job1", "b", 5);
  await write(keyOf("gone1", "c"));
  // In a shared bucket: blobs of another kind, and of a host with another store.
  const foreign = ["cache/somebody/else", keyOf("job1", "d", "Other-host")];
  for (const key of foreign) await write(key);
  await blobs.remove(keyOf("job1", "b"));
  await tidyFiles(host);
  assert.equal(await isThere("gone1", "c"), false);
  for (const key of foreign) assert.notEqual(await blobs.stat(key), null);
  assert.deepEqual([await isThere("job1", "a"), await expiredAt("job1", "a")], [true, null]);
  assert.ok(await expiredAt("job1", "b"));
});

test("uploads of running attempts stay; those of ended attempts are removed", async (t) => {
  const { host, store, blobs, begin, expiredAt } = await setUp(t);
  const staged = (jobId: string) => join(blobs.stagingDirectory, `${jobId}.1.${idOf("a")}`);
  for (const jobId of ["job1", "job2"]) {
    await insertClaimed(store, jobId);
    await begin(jobId, "a");
    writeFileSync(staged(jobId), "half");
  }
  writeFileSync(staged("gone1"), "half");
  await end(store, "job2", "completed");
  await tidyFiles(host);
  assert.deepEqual(
    [existsSync(staged("job1")), existsSync(staged("job2")), existsSync(staged("gone1"))],
    [true, false, false],
  );
  assert.equal(await expiredAt("job1", "a"), null);
  assert.ok(await expiredAt("job2", "a"));
});
