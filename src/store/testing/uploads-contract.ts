import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  beginUpload,
  getUpload,
  listUploads,
  recordDigest,
  recordStored,
  sumStored,
} from "../files/uploads.ts";
import { closeAttempt } from "../jobs/attempts.ts";
import { deleteFinishedJobs } from "../jobs/retention.ts";
import type { Store } from "../store.ts";
import { end, hostId, insertClaimed } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

const attempt = { jobId: "job1", attempt: 1 } as const;

/** An upload as a guest begins it. */
export function sampleUpload(id: string, given: { sizeBytes?: number; blobHostId?: string | null } = {}) {
  return {
    ...attempt,
    id,
    kind: "artifact",
    name: `dist/${id}\n`,
    sizeBytes: 10,
    blobKey: `artifacts/job1/1/${id}`,
    blobHostId: hostId,
    begunAt: 5,
    ...given,
  };
}

const accept = () => true;

async function store(db: Store, id: string, at = 7): Promise<void> {
  await beginUpload(db, sampleUpload(id), accept);
  await recordDigest(db, { ...attempt, id, sha256: "abc" });
  await recordStored(db, { ...attempt, id, at }, async () => {});
}

/** Files that guests send. */
export function uploadsContract(create: CreateDatabase): void {
  describe("uploads", () => {
    test("a file is recorded before its bytes arrive, and with its digest when it is complete", async (context) => {
      const db = await openForTest(context, create);
      await insertClaimed(db, "job1");
      const begun = await beginUpload(db, sampleUpload("a"), accept);
      assert.equal(begun?.isNew, true);
      assert.equal((await beginUpload(db, sampleUpload("a"), accept))?.isNew, false);
      assert.equal((await beginUpload(db, sampleUpload("a", { sizeBytes: 11 }), accept))?.isNew, true);
      await recordDigest(db, { ...attempt, id: "a", sha256: "abc" });
      let recorded = 0;
      const record = async () => {
        recorded += 1;
      };
      await recordStored(db, { ...attempt, id: "a", at: 7 }, record);
      await recordStored(db, { ...attempt, id: "a", at: 8 }, record);
      assert.equal(recorded, 1);
      const upload = await getUpload(db, { ...attempt, id: "a" });
      assert.deepEqual(upload, {
        ...sampleUpload("a", { sizeBytes: 11 }),
        sha256: "abc",
        storedAt: 7,
        expiredAt: null,
      });
      assert.equal((await beginUpload(db, sampleUpload("a", { sizeBytes: 12 }), accept))?.isNew, false);
    });

    test("the decision gets the attempt's sum, and a refusal writes nothing", async (context) => {
      const db = await openForTest(context, create);
      await insertClaimed(db, "job1");
      const sums: object[] = [];
      const decide = (sum: object) => sums.push(sum) < 3;
      for (const id of ["a", "b", "c"]) await beginUpload(db, sampleUpload(id), decide);
      assert.deepEqual(sums, [
        { count: 0, bytes: 0 },
        { count: 1, bytes: 10 },
        { count: 2, bytes: 20 },
      ]);
      assert.equal(await getUpload(db, { ...attempt, id: "c" }), null);
      assert.equal(await sumStored(db, "artifact", hostId), 20);
      assert.equal(await sumStored(db, "artifact", null), 0);
      await beginUpload(db, sampleUpload("d", { blobHostId: null }), accept);
      assert.equal(await sumStored(db, "artifact", null), 10);
    });

    test("complete files are listed by name, and others are not", async (context) => {
      const db = await openForTest(context, create);
      await insertClaimed(db, "job1");
      await store(db, "b");
      await store(db, "a");
      await beginUpload(db, sampleUpload("c"), accept);
      const names = (await listUploads(db, { ...attempt, kind: "artifact" })).map(({ name }) => name);
      assert.deepEqual(names, ["dist/a\n", "dist/b\n"]);
      assert.deepEqual(await listUploads(db, { ...attempt, kind: "cache" }), []);
    });

    test("an attempt that is over accepts no files", async (context) => {
      const db = await openForTest(context, create);
      await insertClaimed(db, "job1");
      await beginUpload(db, sampleUpload("a"), accept);
      await end(db, "job1", "completed");
      await assert.rejects(beginUpload(db, sampleUpload("b"), accept), { code: "conflict" });
      await assert.rejects(
        recordStored(db, { ...attempt, id: "a", at: 7 }, async () => {}),
        {
          code: "conflict",
        },
      );
    });

    test("removing a job removes its uploads", async (context) => {
      const db = await openForTest(context, create);
      await insertClaimed(db, "job1");
      await store(db, "a");
      await end(db, "job1", "completed", 100);
      await closeAttempt(db, { ...attempt, at: 100 });
      await deleteFinishedJobs(db, { before: 200, awaitsPublishing: false, at: 200, after: null });
      assert.equal(await getUpload(db, { ...attempt, id: "a" }), null);
    });
  });
}
