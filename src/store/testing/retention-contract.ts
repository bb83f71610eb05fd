import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { getJob, insertJob, listTransitions } from "../jobs/jobs.ts";
import { setMachineState } from "../jobs/machines.ts";
import { deleteFinishedJobs, expireOldestLogs, sumLogBytes } from "../jobs/retention.ts";
import { appendLog, compactLog, logStatus, readLog } from "../logs/logs.ts";
import type { Store } from "../store.ts";
import { end, insertClaimed, newJob } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest, openSeveral } from "./test-database.ts";

const mebibyte = 1024 * 1024;

function outputOf(jobId: string) {
  return { jobId, attempt: 1, stream: "output" } as const;
}

/** Inserts a job that finished at `at`, with `bytes` of incompressible output. */
async function insertFinished(
  store: Store,
  id: string,
  given: { at: number; bytes?: number },
): Promise<void> {
  await insertClaimed(store, id);
  if (given.bytes) await append(store, id, randomBytes(given.bytes));
  await end(store, id, "completed", given.at);
  await setMachineState(store, { jobId: id, attempt: 1, state: "gone", at: given.at });
}

/** Copies the machine and the log of a job's first attempt as those of `count` more attempts. */
async function copyAttempt(store: Store, jobId: string, count: number): Promise<void> {
  const attempts = Array.from({ length: count }, (_, index) => index + 2);
  const machine = await store.db
    .selectFrom("machines")
    .selectAll()
    .where("job_id", "=", jobId)
    .executeTakeFirstOrThrow();
  const log = await store.db
    .selectFrom("logs")
    .selectAll()
    .where("job_id", "=", jobId)
    .executeTakeFirstOrThrow();
  const machines = attempts.map((attempt) => ({
    ...machine,
    attempt,
    bootstrap_token_hash: `boot-${jobId}-copy-${attempt}`,
  }));
  await store.db.insertInto("machines").values(machines).execute();
  await store.db
    .insertInto("logs")
    .values(attempts.map((attempt) => ({ ...log, attempt })))
    .execute();
}

function append(store: Store, id: string, data: Uint8Array) {
  return appendLog(store, { ...outputOf(id), offset: 0, data, limitBytes: 100 * mebibyte });
}

/** Runs all steps of a removal; returns the number of removed jobs. */
async function deleteAll(store: Store, before: number, awaitsPublishing = true): Promise<number> {
  let removed = 0;
  let after: Parameters<typeof deleteFinishedJobs>[1]["after"] = null;
  do {
    const step = await deleteFinishedJobs(store, { before, awaitsPublishing, at: 50_000, after });
    removed += step.removed;
    after = step.next;
  } while (after !== null);
  return removed;
}

async function existing(store: Store, ...ids: string[]): Promise<string> {
  const jobs = await Promise.all(ids.map((id) => getJob(store, id)));
  return jobs.flatMap((job) => job?.id ?? []).join(" ");
}

async function storedBytes(store: Store, id: string): Promise<number> {
  const kept = await store.db.selectFrom("log_chunks").select("data").where("job_id", "=", id).execute();
  return kept.reduce((total, row) => total + row.data.byteLength, 0);
}

/** Contract of retention: the jobs and logs that are removed, and those that stay. */
export function retentionContract(create: CreateDatabase): void {
  describe("retention", () => {
    describe("of jobs", () => jobRetention(create));
    describe("of logs", () => logRetention(create));
  });
}

function jobRetention(create: CreateDatabase): void {
  test("an old job is removed with everything that belongs to it, and its request may become a new job", async (context) => {
    const store = await openForTest(context, create);
    const { request } = newJob("x");
    await insertClaimed(store, "old", { request });
    await append(store, "old", randomBytes(3 * mebibyte));
    await end(store, "old", "completed", 1000);
    await setMachineState(store, { jobId: "old", attempt: 1, state: "gone", at: 1000 });
    await insertFinished(store, "young", { at: 2000 });
    assert.equal(await deleteAll(store, 2000), 1);
    assert.equal(await existing(store, "old", "young"), "young");
    assert.equal((await listTransitions(store, "old")).length, 0);
    assert.equal(await storedBytes(store, "old"), 0);
    assert.equal(await sumLogBytes(store), 0);
    assert.equal((await insertJob(store, newJob("again", { request }))).existed, false);
  });

  test("unfinished jobs, jobs with a machine and jobs with an unpublished result stay", async (context) => {
    const store = await openForTest(context, create);
    await insertJob(store, newJob("queued"));
    await insertClaimed(store, "active");
    await insertClaimed(store, "machine");
    await end(store, "machine", "completed", 1000);
    for (const id of ["unpublished", "published"])
      await insertFinished(store, id, { at: 1000, bytes: mebibyte });
    const outbox = { created_at: 1000, claimed_by: null, claimed_until: null };
    await store.db
      .insertInto("outbox")
      .values([
        { ...outbox, job_id: "unpublished", published_at: null },
        { ...outbox, job_id: "published", published_at: 1500 },
      ])
      .onConflict((conflict) =>
        conflict.column("job_id").doUpdateSet((row) => ({ published_at: row.ref("excluded.published_at") })),
      )
      .execute();
    assert.equal(await deleteAll(store, 9000), 1);
    const ids = ["queued", "active", "machine", "unpublished", "published"];
    assert.equal(await existing(store, ...ids), "queued active machine unpublished");
    assert.equal((await logStatus(store, outputOf("unpublished"))).expiredAt, null);
    assert.equal(await deleteAll(store, 9000, false), 1, "without a broker no result will be published");
    assert.equal(await existing(store, ...ids), "queued active machine");
  });

  test("a machine of a host that was lost for good does not protect its job", async (context) => {
    const store = await openForTest(context, create);
    for (const [id, lostAt] of [
      ["lives", null],
      ["just-lost", 3000],
      ["lost", 2999],
    ] as const) {
      await insertClaimed(store, id);
      await end(store, id, "completed", 1000);
      await store.db.updateTable("machines").set({ host_id: id }).where("job_id", "=", id).execute();
      const lease = { renewals: 1, renewed_at: 1, registered_at: 1, facts: "{}" };
      await store.db
        .insertInto("hosts")
        .values({ ...lease, id, lost_at: lostAt })
        .execute();
    }
    assert.equal(await deleteAll(store, 3000), 1);
    assert.equal(await existing(store, "lives", "just-lost", "lost"), "lives just-lost");
  });

  test("two hosts that remove jobs at once remove each job once", async (context) => {
    const [one, two] = (await openSeveral(context, create, 2)) as [Store, Store];
    for (let index = 0; index < 120; index += 1) {
      await insertFinished(one, `job${index}`, { at: 1000 + (index % 7) });
    }
    const removed = await Promise.all([deleteAll(one, 5000), deleteAll(two, 5000)]);
    assert.equal(removed[0] + removed[1], 120);
    assert.equal(
      (await deleteFinishedJobs(one, { before: 5000, awaitsPublishing: true, at: 1, after: null })).next,
      null,
    );
  });
}

function logRetention(create: CreateDatabase): void {
  test("the stored bytes of a log are counted while it grows, at its limit and after compaction", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const log = { ...outputOf("job1"), limitBytes: 200_000 };
    await appendLog(store, { ...log, offset: 0, data: Buffer.alloc(150_000, "a") });
    await appendLog(store, { ...log, offset: 100_000, data: Buffer.alloc(150_000, "a") });
    assert.equal(await sumLogBytes(store), await storedBytes(store, "job1"));
    assert.ok((await sumLogBytes(store)) > 150_000);
    await compactLog(store, outputOf("job1"));
    await compactLog(store, outputOf("job1"));
    assert.equal(await sumLogBytes(store), await storedBytes(store, "job1"));
    assert.ok((await sumLogBytes(store)) < 10_000);
  });

  test("the sum includes every log, also with more logs than one page", async (context) => {
    const store = await openForTest(context, create);
    const ids = Array.from({ length: 21 }, (_, index) => `job${index}`);
    for (const id of ids) {
      await insertClaimed(store, id);
      await append(store, id, Buffer.from("ten bytes."));
      await copyAttempt(store, id, 99);
    }
    assert.equal(await sumLogBytes(store), 21_000);
  });

  test("the bytes of the oldest finished jobs' logs are removed, which their status shows; the jobs stay", async (context) => {
    const store = await openForTest(context, create);
    await insertFinished(store, "second", { at: 2000, bytes: 3 * mebibyte });
    await insertFinished(store, "first", { at: 1000, bytes: 3 * mebibyte });
    await insertFinished(store, "third", { at: 3000, bytes: mebibyte });
    await insertClaimed(store, "active");
    await append(store, "active", randomBytes(mebibyte));
    const step = await expireOldestLogs(store, { bytes: 3 * mebibyte + 1, at: 9000, after: null });
    assert.deepEqual(step, { removed: 2, freed: 6 * mebibyte, next: null });
    assert.equal(await sumLogBytes(store), 2 * mebibyte);
    const { sha256, ...status } = await logStatus(store, outputOf("first"));
    assert.match(sha256 ?? "", /^[0-9a-f]{64}$/);
    assert.deepEqual(status, {
      received: 3 * mebibyte,
      dropped: null,
      expiredAt: 9000,
    });
    assert.equal((await readLog(store, { ...outputOf("first"), offset: 0, maxBytes: 99 })).length, 0);
    assert.equal((await logStatus(store, outputOf("third"))).expiredAt, null);
    const rest = await expireOldestLogs(store, { bytes: 99 * mebibyte, at: 9999, after: null });
    assert.deepEqual([rest.removed, rest.freed], [1, mebibyte]);
    assert.equal((await logStatus(store, outputOf("first"))).expiredAt, 9000);
    assert.equal(await storedBytes(store, "active"), mebibyte);
  });
}
