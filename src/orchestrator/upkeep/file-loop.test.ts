import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { artifactPrefix } from "../../api/transfers/artifact-kind.ts";
import { blobKeyOf } from "../../api/transfers/blob-keys.ts";
import { openDirectoryStore } from "../../blobs/directory-store.ts";
import { inPieces } from "../../blobs/testing/contract.ts";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { openSqliteStore } from "../../store/store.ts";
import { end, hostId, insertClaimed } from "../../store/testing/sample-jobs.ts";
import { beginUpload, getUpload, recordDigest, recordStored } from "../../store/uploads.ts";
import { type FileUpkeepContext, tidyFiles } from "./file-loop.ts";

const daySeconds = 86_400;
const idOf = (letter: string) => letter.repeat(32);

/** A host with blobs in a directory; jobs keep files on it. */
async function setUp(t: TestContext, artifactRetentionSeconds = 0) {
  const dataDir = mkdtempSync(join(tmpdir(), "solstice-files-"));
  const store = await openSqliteStore({ path: join(dataDir, "solstice.db") });
  const blobs = await openDirectoryStore(join(dataDir, "files"));
  t.after(async () => {
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const lines: string[] = [];
  const note = (_facts: object, line: string) => void lines.push(line);
  const log = { debug: note, info: note, warn: note, error: note } as unknown as FileUpkeepContext["log"];
  const config = { artifactRetentionSeconds } as OrchestratorConfig;
  const host: FileUpkeepContext = { config, store, blobs, log, identity: { hostId } as never };
  const keyOf = (jobId: string, letter: string, of = hostId) =>
    blobKeyOf(artifactPrefix, { hostId: of, jobId, attempt: 1 }, idOf(letter));
  const begin = (jobId: string, letter: string) => {
    const names = { jobId, attempt: 1, id: idOf(letter), kind: "artifact", name: letter };
    const blobKey = keyOf(jobId, letter);
    return beginUpload(
      store,
      { ...names, sizeBytes: 1, blobKey, blobHostId: hostId, begunAt: 1 },
      () => true,
    );
  };
  const keep = async (jobId: string, letter: string, at: number) => {
    await begin(jobId, letter);
    await recordDigest(store, { jobId, attempt: 1, id: idOf(letter), sha256: "x" });
    await blobs.write(keyOf(jobId, letter), inPieces(Buffer.from("x")), { limitBytes: 9 });
    await recordStored(store, { jobId, attempt: 1, id: idOf(letter), at }, async () => {});
  };
  const expiredAt = async (jobId: string, letter: string) =>
    (await getUpload(store, { jobId, attempt: 1, id: idOf(letter) }))?.expiredAt;
  const isThere = async (jobId: string, letter: string) => (await blobs.stat(keyOf(jobId, letter))) !== null;
  return { host, store, blobs, lines, begin, keep, expiredAt, isThere, keyOf };
}

test("artifacts go by age, and young ones stay", async (t) => {
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

test("a blob without a record goes, and a record without a blob says so", async (t) => {
  const { host, store, blobs, keep, keyOf, expiredAt, isThere } = await setUp(t);
  await insertClaimed(store, "job1");
  await keep("job1", "a", 5);
  await keep("job1", "b", 5);
  await blobs.write(keyOf("gone1", "c"), inPieces(Buffer.from("x")), { limitBytes: 9 });
  // In a bucket that is shared: another kind's, and what a host keeps that has another store.
  const foreign = ["cache/somebody/else", keyOf("job1", "d", "Other-host")];
  for (const key of foreign) await blobs.write(key, inPieces(Buffer.from("x")), { limitBytes: 9 });
  await blobs.remove(keyOf("job1", "b"));
  await tidyFiles(host);
  assert.equal(await isThere("gone1", "c"), false);
  for (const key of foreign) assert.notEqual(await blobs.stat(key), null);
  assert.deepEqual([await isThere("job1", "a"), await expiredAt("job1", "a")], [true, null]);
  assert.ok(await expiredAt("job1", "b"));
});

test("what is under way is left alone; what an attempt left that is over goes", async (t) => {
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
