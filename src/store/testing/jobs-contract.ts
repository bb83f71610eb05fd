import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { jobEvents, jobStates, transition } from "../../core/job/job-state.ts";
import { verdict } from "../../core/job/verdict.ts";
import { getMachine } from "../hosts/machines.ts";
import { countQueuedByGroup, listSlots } from "../jobs/capacity.ts";
import {
  applyEvent,
  claimJob,
  findJobs,
  getJob,
  insertJob,
  listActive,
  listJobs,
  listQueued,
  listRetries,
  listTransitions,
  recentDurations,
  requestCancel,
} from "../jobs/jobs.ts";
import { listSteps } from "../jobs/steps.ts";
import { type LaneCursor, type LanePage, listGroups, listLanes } from "../jobs/waiting.ts";
import type { Store, Wake } from "../store.ts";
import { claim, end, hostId, insertClaimed, newJob } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

/** Collects what a store announces, until the test has looked. */
function wakesOf(store: Store): Wake[] {
  const wakes: Wake[] = [];
  store.subscribe((wake) => wakes.push(wake));
  return wakes;
}

const hostStopped = verdict("host_shutdown", "The host was stopped.");
const silent = verdict("runner_silent", "The runner said nothing.");

/** Intake, queries and the life of a job. */
export function jobsContract(create: CreateDatabase): void {
  describe("jobs", () => {
    describe("intake", () => intakeContract(create));
    describe("queries", () => queriesContract(create));
    describe("claims", () => claimsContract(create));
    describe("events", () => eventsContract(create));
    describe("cancel", () => cancelContract(create));
  });
}

function intakeContract(create: CreateDatabase): void {
  test("a job comes back as it was put in", async (context) => {
    const store = await openForTest(context, create);
    const wakes = wakesOf(store);
    const given = newJob("job1", { priority: -3, label: "größe'; drop table jobs; --" });
    const { job, existed } = await insertJob(store, given);
    assert.equal(existed, false);
    assert.deepEqual(await getJob(store, "job1"), job);
    const open = { cancelRequestedAt: null, cancelNowAt: null, retryOf: null };
    const fresh = { ...open, attempt: 0, hostId: null, verdict: null, finishedAt: null };
    assert.deepEqual(job, { ...given, state: "queued", stateSinceAt: 1000, ...fresh });
    assert.deepEqual(wakes, [{ kind: "queue", jobId: "job1" }]);
    assert.equal(await getJob(store, "other"), null);
  });

  test("the same request again is the same job, and writes nothing", async (context) => {
    const store = await openForTest(context, create);
    const first = newJob("job1");
    await insertJob(store, first);
    const wakes = wakesOf(store);
    const again = await insertJob(store, newJob("job2", { request: first.request, priority: 5 }));
    assert.equal(again.existed, true);
    assert.deepEqual(again.job, await getJob(store, "job1"));
    assert.equal((await listJobs(store, { limit: 10 })).length, 1);
    assert.equal((await listTransitions(store, "job1")).length, 1);
    assert.deepEqual(wakes, []);
  });

  test("a failed operation leaves nothing behind, and does not harm those that share its commit", async (context) => {
    const store = await openForTest(context, create);
    const sameId = newJob("job1");
    const outcomes = await Promise.allSettled([
      insertJob(store, newJob("job1")),
      insertJob(store, sameId),
      insertJob(store, newJob("job2")),
    ]);
    // Which of the first two is first, is left to the database.
    const [refused, ...others] = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.equal(others.length, 0);
    assert.equal(outcomes[2]?.status, "fulfilled");
    assert.equal(refused?.reason.code, "store_failed");
    assert.ok(refused?.reason.cause instanceof Error);
    assert.equal((await listJobs(store, { limit: 10 })).length, 2);
  });
}

function queriesContract(create: CreateDatabase): void {
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

  test("a list shows of a request what people look for, and does not read the rest", async (context) => {
    const store = await openForTest(context, create);
    const asked = {
      repo_url: "https://example.org/a/b.git",
      commit_sha: "a".repeat(40),
      ref: "main",
      source: "test",
    };
    const jobs = ["a", "b"].map((id) => ({
      ...newJob(id),
      request: { ...newJob(id).request, ...asked },
    }));
    for (const job of jobs) await insertJob(store, job);
    // What a list does not read cannot hurt it.
    await store.db.updateTable("jobs").set({ request: "damaged" }).where("id", "=", "a").execute();
    // A row of a version that wrote the request alone.
    const unknown = { source: null, repo_url: null, commit_sha: null, ref: null };
    await store.db.updateTable("jobs").set(unknown).where("id", "=", "b").execute();
    for (const job of await listJobs(store, { limit: 9 })) {
      const { requestId, ...shown } = job.shown;
      assert.equal(requestId, jobs.find(({ id }) => id === job.id)?.request.request_id);
      assert.deepEqual(shown, {
        repoUrl: asked.repo_url,
        commitSha: asked.commit_sha,
        ref: "main",
        source: "test",
      });
    }
  });

  test("no list is longer than its bound, however much is asked for", async (context) => {
    const store = await openForTest(context, create);
    await Promise.all(Array.from({ length: 1003 }, (_, index) => insertJob(store, newJob(`j${index}`))));
    assert.equal((await listJobs(store, { limit: 1e9 })).length, 1000);
    assert.equal((await listJobs(store, { limit: -1 })).length, 1);
    assert.equal((await listQueued(store, 1e9)).jobs.length, 1003);
    assert.equal((await listQueued(store, 3)).jobs.length, 3);
  });

  test("jobs are found by the beginning of their id, and by nothing else", async (context) => {
    const store = await openForTest(context, create);
    for (const id of ["ab12", "ab13", "abz", "ac", "b"]) await insertJob(store, newJob(id));
    const found = async (prefix: string) => (await findJobs(store, prefix, 10)).map((job) => job.id);
    assert.deepEqual(await found("ab"), ["ab12", "ab13", "abz"]);
    assert.deepEqual(await found("ab12"), ["ab12"]);
    for (const prefix of ["", "%", "a_", "AB", "a'", "ab\0"]) assert.deepEqual(await found(prefix), []);
    assert.equal((await findJobs(store, "ab", 2)).length, 2);
  });

  test("a label with a long queue does not hide another, and each lane is in its order", async (context) => {
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

  test("a walk over the lanes gives the oldest of each, however long the others are", async (context) => {
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

  test("active jobs and counts are a host's own; waiting jobs count for all", async (context) => {
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

  test("durations are those of the label's last jobs that ended by themselves, newest first", async (context) => {
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

function claimsContract(create: CreateDatabase): void {
  test("a claim writes the attempt, its machine, its steps and the transition", async (context) => {
    const store = await openForTest(context, create);
    const job = await insertClaimed(store, "job1");
    assert.equal(job.state, "provisioning");
    assert.deepEqual([job.attempt, job.hostId, job.stateSinceAt], [1, hostId, 2000]);
    const machine = await getMachine(store, { jobId: "job1", attempt: 1 });
    assert.deepEqual([machine?.state, machine?.hostId, machine?.backend], ["intended", hostId, "noop"]);
    const steps = await listSteps(store, { jobId: "job1", attempt: 1 });
    assert.deepEqual(
      steps.map((step) => [step.index, step.name, step.state]),
      [
        [0, "checkout", "pending"],
        [1, "build", "pending"],
      ],
    );
    assert.deepEqual((await listTransitions(store, "job1")).at(-1), {
      jobId: "job1",
      attempt: 1,
      from: "queued",
      to: "provisioning",
      at: 2000,
      hostId,
      reason: null,
    });
  });

  test("a job is claimed once", async (context) => {
    const store = await openForTest(context, create);
    await insertJob(store, newJob("job1"));
    const claims = await Promise.all([
      claim(store, "job1", 1),
      claim(store, "job1", 2),
      claim(store, "job1", 3),
    ]);
    assert.equal(claims.filter((job) => job !== null).length, 1);
    assert.equal(await claim(store, "nowhere"), null);
  });

  test("a claim that cannot write its machine leaves the job waiting", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await insertJob(store, newJob("job2"));
    const sameToken = {
      jobId: "job2",
      hostId,
      at: 1,
      backend: "noop",
      prepare: () => ({ bootstrapTokenHash: "boot-job1-2000", stepNames: [] }),
    } as const;
    await assert.rejects(claimJob(store, sameToken), { code: "store_failed" });
    assert.equal((await getJob(store, "job2"))?.state, "queued");
  });
}

function eventsContract(create: CreateDatabase): void {
  test("a job lives through its states, and every change is on record", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const wakes = wakesOf(store);
    const apply = (event: "boot" | "start", at: number) =>
      applyEvent(store, { jobId: "job1", attempt: 1, event, at });
    assert.equal((await apply("boot", 3000))?.state, "booting");
    assert.equal((await apply("start", 4000))?.state, "running");
    assert.equal((await apply("start", 5000))?.stateSinceAt, 4000);
    const done = await end(store, "job1", "completed", 6000);
    assert.deepEqual([done?.state, done?.finishedAt, done?.verdict?.exitCode], ["succeeded", 6000, 0]);
    const transitions = await listTransitions(store, "job1");
    assert.deepEqual(
      transitions.map(({ from, to, at, reason }) => [from, to, at, reason]),
      [
        [null, "queued", 1000, null],
        ["queued", "provisioning", 2000, null],
        ["provisioning", "booting", 3000, null],
        ["booting", "running", 4000, null],
        ["running", "finalizing", 6000, "completed"],
        ["finalizing", "succeeded", 6000, "completed"],
      ],
    );
    assert.deepEqual(wakes, [
      ...Array(3).fill({ kind: "job", jobId: "job1" }),
      { kind: "job", jobId: "job1", ended: true },
    ]);
  });

  test("the store answers as the transition table does, for every state and event", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    for (const state of jobStates) {
      for (const event of jobEvents) {
        await forceState(store, "job1", state);
        const expected = transition(state, event);
        const settled = /^settle_(.*)$/.exec(event)?.[1];
        const ended = verdict(settled ? reasonOf(settled) : "completed", "Ended.");
        const answer = applyEvent(store, { jobId: "job1", attempt: 1, event, at: 7, verdict: ended });
        if (expected === "refuse") await assert.rejects(answer, { code: "conflict" });
        else assert.equal((await answer)?.state, expected === "ignore" ? state : expected);
      }
    }
  });

  test("an event of a host that saw an older state changes nothing that came after it", async (context) => {
    const store = await openForTest(context, create);
    const seen = await insertClaimed(store, "job1");
    const change = { jobId: "job1", attempt: 1, at: 10 };
    for (const event of ["boot", "start"] as const) await applyEvent(store, { ...change, event });
    const answer = await applyEvent(store, { ...change, event: "boot", seen });
    assert.equal(answer?.state, "running");
    assert.equal((await getJob(store, "job1"))?.state, "running");
    assert.deepEqual(
      (await listTransitions(store, "job1")).map(({ to }) => to),
      ["queued", "provisioning", "booting", "running"],
    );
  });

  test("an event of an attempt that is over does nothing", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await applyEvent(store, { jobId: "job1", attempt: 1, event: "conclude", at: 1, verdict: silent });
    await applyEvent(store, { jobId: "job1", attempt: 1, event: "requeue", at: 2 });
    const second = await claim(store, "job1", 3);
    assert.equal(second?.attempt, 2);
    const late = { jobId: "job1", attempt: 1, event: "boot", at: 4 } as const;
    assert.equal(await applyEvent(store, late), null);
    assert.deepEqual(await getJob(store, "job1"), second);
    assert.equal(await applyEvent(store, { ...late, attempt: 3 }), null);
    assert.equal(await applyEvent(store, { ...late, jobId: "nowhere" }), null);
  });

  test("a retry keeps its age, its history and the last verdict until it is claimed", async (context) => {
    const store = await openForTest(context, create);
    const wakes = wakesOf(store);
    await insertClaimed(store, "job1");
    await applyEvent(store, { jobId: "job1", attempt: 1, event: "conclude", at: 3000, verdict: silent });
    const waiting = await applyEvent(store, { jobId: "job1", attempt: 1, event: "requeue", at: 4000 });
    assert.deepEqual([waiting?.state, waiting?.attempt, waiting?.submittedAt], ["queued", 1, 1000]);
    assert.deepEqual([waiting?.maxAttempts, waiting?.verdict, waiting?.finishedAt], [2, silent, null]);
    assert.deepEqual(wakes.at(-1), { kind: "queue", jobId: "job1", requeued: true });
    assert.equal((await claim(store, "job1", 5000))?.verdict, null);
    assert.deepEqual(
      (await listTransitions(store, "job1")).map((change) => [change.attempt, change.to]),
      [
        [0, "queued"],
        [1, "provisioning"],
        [1, "finalizing"],
        [1, "queued"],
        [2, "provisioning"],
      ],
    );
  });

  test("a host that was stopped costs the job no attempt", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await applyEvent(store, { jobId: "job1", attempt: 1, event: "conclude", at: 3, verdict: hostStopped });
    const waiting = await applyEvent(store, { jobId: "job1", attempt: 1, event: "requeue", at: 4 });
    assert.equal(waiting?.maxAttempts, 3);
  });

  test("a waiting job settles with the verdict that is given; a missing or contrary one is a defect", async (context) => {
    const store = await openForTest(context, create);
    await insertJob(store, newJob("job1"));
    const cancelled = verdict("cancelled_by_user", "Cancelled.");
    const settle = { jobId: "job1", attempt: 0, event: "settle_cancelled", at: 5 } as const;
    await assert.rejects(applyEvent(store, settle), { code: "internal" });
    await assert.rejects(applyEvent(store, { ...settle, verdict: silent }), { code: "internal" });
    const job = await applyEvent(store, { ...settle, verdict: cancelled });
    assert.deepEqual([job?.state, job?.verdict, job?.finishedAt], ["cancelled", cancelled, 5]);
  });
}

function cancelContract(create: CreateDatabase): void {
  test("a wish to end without clean-up counts beside the first one, and implies it", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await requestCancel(store, { jobId: "job1", at: 50 });
    await requestCancel(store, { jobId: "job1", at: 60, now: true });
    const again = await requestCancel(store, { jobId: "job1", at: 70, now: true });
    assert.deepEqual([again?.cancelRequestedAt, again?.cancelNowAt], [50, 60]);
    await insertClaimed(store, "job2");
    const once = await requestCancel(store, { jobId: "job2", at: 80, now: true });
    assert.deepEqual([once?.cancelRequestedAt, once?.cancelNowAt], [80, 80]);
  });

  test("a job's retries are listed, oldest first, also when it is no more", async (context) => {
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

  test("the first wish to cancel counts; a final job stays as it is", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const wakes = wakesOf(store);
    assert.equal((await requestCancel(store, { jobId: "job1", at: 50 }))?.cancelRequestedAt, 50);
    assert.equal((await requestCancel(store, { jobId: "job1", at: 60 }))?.cancelRequestedAt, 50);
    assert.deepEqual(wakes, [{ kind: "job", jobId: "job1" }]);
    await insertClaimed(store, "job2");
    await end(store, "job2", "completed");
    assert.equal((await requestCancel(store, { jobId: "job2", at: 70 }))?.cancelRequestedAt, null);
    assert.equal(await requestCancel(store, { jobId: "nowhere", at: 70 }), null);
  });
}

/** Puts a job into a state by hand, with a history that has room for any change. */
async function forceState(store: Store, jobId: string, state: (typeof jobStates)[number]): Promise<void> {
  await store.write(async (trx) => {
    await trx.deleteFrom("job_transitions").where("job_id", "=", jobId).execute();
    await trx.updateTable("jobs").set({ state, attempt: 1 }).where("id", "=", jobId).execute();
  });
}

function reasonOf(state: string) {
  const reasons = {
    succeeded: "completed",
    failed: "step_failed",
    timed_out: "job_timeout",
    cancelled: "cancelled_by_user",
    infra_error: "runner_silent",
  } as const;
  return reasons[state as keyof typeof reasons];
}
