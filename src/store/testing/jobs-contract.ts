import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { claimJob, getJob, insertJob, listJobs, listTransitions, requestCancel } from "../jobs/jobs.ts";
import { getMachine } from "../jobs/machines.ts";
import { listSteps } from "../jobs/steps.ts";
import { claim, end, hostId, insertClaimed, newJob, wakesOf } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

/** Intake, claim and cancellation of a job. */
export function jobsContract(create: CreateDatabase): void {
  describe("jobs", () => {
    describe("intake", () => intakeContract(create));
    describe("claims", () => claimsContract(create));
    describe("cancel", () => cancelContract(create));
  });
}

function intakeContract(create: CreateDatabase): void {
  test("a job is read as it was stored", async (context) => {
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

  test("a failed operation writes nothing, and does not affect others in the same commit", async (context) => {
    const store = await openForTest(context, create);
    const sameId = newJob("job1");
    const outcomes = await Promise.allSettled([
      insertJob(store, newJob("job1")),
      insertJob(store, sameId),
      insertJob(store, newJob("job2")),
    ]);
    // Either of the first two may be first: the database decides.
    const [refused, ...others] = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.equal(others.length, 0);
    assert.equal(outcomes[2]?.status, "fulfilled");
    assert.equal(refused?.reason.code, "store_failed");
    assert.ok(refused?.reason.cause instanceof Error);
    assert.equal((await listJobs(store, { limit: 10 })).length, 2);
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

function cancelContract(create: CreateDatabase): void {
  test("a request to end without clean-up counts after a first cancellation, and includes one", async (context) => {
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

  test("the first cancellation counts; a final job does not change", async (context) => {
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
