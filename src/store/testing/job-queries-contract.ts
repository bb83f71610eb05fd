import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { countQueuedByGroup, listSlots } from "../jobs/capacity.ts";
import {
  claimJob,
  findJobs,
  getJob,
  insertJob,
  listActive,
  listJobs,
  listQueued,
  listRetries,
  recentDurations,
} from "../jobs/jobs.ts";
import { type LaneCursor, type LanePage, listGroups, listLanes } from "../jobs/waiting.ts";
import { claim, end, hostId, insertClaimed, newJob } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

/** The results of lists, searches, walks over waiting jobs and counts. */
export function jobQueriesContract(create: CreateDatabase): void {
  describe("queries of jobs", () => {
    describe("for people", () => listsContract(create));
    describe("for the scheduler", () => waitingContract(create));
  });
}

function listsContract(create: CreateDatabase): void {
  test("jobs are listed newest first, by pages and by states", async (context) => {
    const store = await openForTest(context, create);
    for (const [id, submittedAt] of [
      ["a", 5],
      ["b", 7],
      ["c", 7],
      ["d", 6],
      ["e", 1],
    ] as const) {
      await insertJob(store, newJob(id, { submittedAt }));
    }
    await claim(store, "d");
    await claim(store, "a");
    const ids = async (filter: Parameters<typeof listJobs>[1]) =>
      (await listJobs(store, filter)).map((job) => job.id).join("");
    assert.equal(await ids({ limit: 10 }), "cbdae");
    assert.equal(await ids({ limit: 2 }), "cb");
    assert.equal(await ids({ limit: 2, beforeJobId: "b" }), "da");
    assert.equal(await ids({ limit: 2, beforeJobId: "c" }), "bd");
    assert.equal(await ids({ limit: 10, states: ["provisioning"] }), "da");
    assert.equal(await ids({ limit: 2, states: ["queued", "provisioning"], beforeJobId: "c" }), "bd");
    assert.equal(await ids({ limit: 10, states: [] }), "");
    await assert.rejects(listJobs(store, { limit: 1, beforeJobId: "gone" }), { code: "not_found" });
  });

  test("a list shows the main fields of a request, and does not read the rest", async (context) => {
    const store = await openForTest(context, create);
    const fields = {
      repo_url: "https://example.org/a/b.git",
      commit_sha: "a".repeat(40),
      ref: "main",
      source: "test",
    };
    const jobs = ["a", "b"].map((id) => ({
      ...newJob(id),
      request: { ...newJob(id).request, ...fields },
    }));
    for (const job of jobs) await insertJob(store, job);
    // Damage in a column that a list does not read has no effect on the list.
    await store.db.updateTable("jobs").set({ request: "damaged" }).execute();
    for (const job of await listJobs(store, { limit: 9 })) {
      const { requestId, ...shown } = job.shown;
      assert.equal(requestId, jobs.find(({ id }) => id === job.id)?.request.request_id);
      assert.deepEqual(shown, {
        repoUrl: fields.repo_url,
        commitSha: fields.commit_sha,
        ref: "main",
        source: "test",
      });
    }
  });

  test("no list is longer than its limit", async (context) => {
    const store = await openForTest(context, create);
    await Promise.all(Array.from({ length: 1003 }, (_, index) => insertJob(store, newJob(`j${index}`))));
    assert.equal((await listJobs(store, { limit: 1e9 })).length, 1000);
    assert.equal((await listJobs(store, { limit: -1 })).length, 1);
    assert.equal((await listQueued(store, 1e9)).jobs.length, 1003);
    assert.equal((await listQueued(store, 3)).jobs.length, 3);
  });

  test("jobs are found by the beginning of their id, and only by that", async (context) => {
    const store = await openForTest(context, create);
    for (const id of ["ab12", "ab13", "abz", "ac", "b"]) await insertJob(store, newJob(id));
    const found = async (prefix: string) => (await findJobs(store, prefix, 10)).map((job) => job.id);
    assert.deepEqual(await found("ab"), ["ab12", "ab13", "abz"]);
    assert.deepEqual(await found("ab12"), ["ab12"]);
    for (const prefix of ["", "%", "a_", "AB", "a'", "ab\0"]) assert.deepEqual(await found(prefix), []);
    assert.equal((await findJobs(store, "ab", 2)).length, 2);
  });

  test("a job's retries are listed, oldest first, also when the job was removed", async (context) => {
    const store = await openForTest(context, create);
    await insertJob(store, newJob("old"));
    await insertJob(store, newJob("late", { retryOf: "old", submittedAt: 3000 }));
    await insertJob(store, newJob("early", { retryOf: "old", submittedAt: 2000 }));
    await insertJob(store, newJob("next", { retryOf: "early", submittedAt: 4000 }));
    assert.deepEqual(await listRetries(store, "old"), ["early", "late"]);
    assert.deepEqual(await listRetries(store, "next"), []);
    assert.equal((await getJob(store, "early"))?.retryOf, "old");
    assert.equal((await getJob(store, "old"))?.retryOf, null);
  });
}

function waitingContract(create: CreateDatabase): void {
  test("a label with a long queue does not hide another, and each lane is in order", async (context) => {
    const store = await openForTest(context, create);
    for (let index = 0; index < 20; index += 1) {
      await insertJob(store, newJob(`long${index}`, { label: "long", submittedAt: 100 - index }));
    }
    await insertJob(store, newJob("urgent", { label: "long", priority: 1, submittedAt: 500 }));
    await insertJob(store, newJob("short", { label: "short", submittedAt: 900 }));
    await claim(store, "long19");
    const { jobs: listed, isWhole } = await listQueued(store, 40);
    assert.equal(isWhole, true);
    assert.deepEqual(
      listed.map((job) => job.id),
      [...Array.from({ length: 19 }, (_, index) => `long${18 - index}`), "urgent", "short"],
    );
    assert.deepEqual(
      (await listQueued(store, 4)).jobs.map((job) => job.id),
      ["long18", "long17", "short"],
    );
    assert.equal((await listQueued(store, 4)).isWhole, false);
    assert.deepEqual(listed.at(-1), {
      id: "short",
      label: "short",
      image: "debian",
      fairKey: "owner/repository",
      priority: 0,
      submittedAt: 900,
      lastAttempt: null,
    });
  });

  test("a walk over the lanes gives the oldest jobs of each, however long the others are", async (context) => {
    const store = await openForTest(context, create);
    for (const [fairKey, priority, count] of [
      ["a", 0, 2],
      ["a", 5, 9],
      ["b", -3, 1],
      ["b", 0, 4],
      ["c", 0, 3],
    ] as const) {
      for (let age = count; age > 0; age -= 1)
        await insertJob(
          store,
          newJob(`${fairKey}${priority}-${age}`, { fairKey, priority, submittedAt: age }),
        );
    }
    await insertJob(store, newJob("other", { image: "other" }));
    assert.deepEqual(await listGroups(store), [
      { label: "debian-12", image: "debian" },
      { label: "debian-12", image: "other" },
    ]);
    const group = { label: "debian-12", image: "debian" };
    const walked: string[][] = [];
    let next: LaneCursor | null = null;
    do {
      const page: LanePage = await listLanes(store, group, { after: next, perLane: 3, limit: 1 });
      walked.push(page.jobs.map((job) => job.id));
      next = page.next;
    } while (next !== null);
    assert.deepEqual(walked, [
      ["a0-1", "a0-2"],
      ["a5-1", "a5-2", "a5-3"],
      ["b-3-1"],
      ["b0-1", "b0-2", "b0-3"],
      ["c0-1", "c0-2", "c0-3"],
      [],
    ]);
  });

  test("active jobs are counted for one host, waiting jobs for all hosts", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "mine");
    await insertClaimed(store, "done");
    await end(store, "done", "completed");
    await insertJob(store, newJob("theirs"));
    await insertJob(store, newJob("waits", { label: "alias" }));
    await claimJob(store, {
      jobId: "theirs",
      hostId: "host-b",
      at: 1,
      backend: "noop",
      prepare: () => ({ bootstrapTokenHash: "t", stepNames: [] }),
    });
    assert.deepEqual(
      (await listActive(store, hostId)).map((job) => job.id),
      ["mine"],
    );
    assert.deepEqual(
      (await listSlots(store, hostId)).map(({ id, label }) => [id, label]),
      [["mine", "debian-12"]],
    );
    assert.deepEqual(await countQueuedByGroup(store), [{ label: "alias", image: "debian", queued: 1 }]);
  });

  test("durations are of the label's last jobs with a verdict of their own, newest first", async (context) => {
    const store = await openForTest(context, create);
    for (const [id, reason, at] of [
      ["a", "completed", 2100],
      ["b", "step_failed", 2200],
      ["c", "cancelled_by_user", 2300],
      ["d", "job_timeout", 2400],
      ["e", "boot_timeout", 2500],
    ] as const) {
      await insertClaimed(store, id);
      await end(store, id, reason, at);
    }
    await insertClaimed(store, "other", { label: "other" });
    await end(store, "other", "completed", 3000);
    assert.deepEqual(await recentDurations(store, { label: "debian-12", limit: 10 }), [400, 200, 100]);
    assert.deepEqual(await recentDurations(store, { label: "debian-12", limit: 1 }), [400]);
    assert.deepEqual(await recentDurations(store, { label: "none", limit: 1 }), []);
  });
}
