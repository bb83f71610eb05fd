import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { buildJobResult } from "../../core/job/job-result.ts";
import { verdict } from "../../core/job/verdict.ts";
import { renewLease } from "../hosts/hosts.ts";
import { takeOver } from "../hosts/takeover.ts";
import { applyWithin } from "../jobs/job-changes.ts";
import { applyEvent, getJob, insertJob, requestCancel } from "../jobs/jobs.ts";
import {
  claimResults,
  countUnpublished,
  loadEndedJobs,
  markPublished,
  releaseResults,
} from "../outbox/outbox.ts";
import type { Store } from "../store.ts";
import { facts } from "./hosts-contract.ts";
import { end, hostId, insertClaimed, newJob } from "./sample-jobs.ts";
import { type CreateDatabase, openSeveral } from "./test-database.ts";

const claim = { hostId, at: 10_000, until: 20_000, limit: 100 };

/** Results that wait to be published. */
export function outboxContract(create: CreateDatabase): void {
  describe("outbox", () => {
    describe("is written with the verdict", () => writing(create));
    describe("is shared by hosts", () => sharing(create));
  });
}

async function open(context: TestContext, create: CreateDatabase): Promise<Store> {
  const [store] = await openSeveral(context, create, { count: 1, recordsResults: true });
  return store as Store;
}

/** Registers a host with a lease, so that the host can be lost. */
function register(store: Store): Promise<unknown> {
  return renewLease(store, { hostId, at: 1000, facts });
}

function concluding(jobId: string) {
  const lost = verdict("guest_lost", "Lost.");
  return { jobId, attempt: 1, event: "conclude", verdict: lost } as const;
}

function writing(create: CreateDatabase): void {
  test("one row for each ended job, for every kind of end; oldest first", async (context) => {
    const store = await open(context, create);
    await insertClaimed(store, "job1");
    await end(store, "job1", "step_failed", 7000);
    await insertJob(store, newJob("job2"));
    await requestCancel(store, { jobId: "job2", at: 6000 });
    await insertJob(store, newJob("job4"));
    await register(store);
    await insertClaimed(store, "job3", { maxAttempts: 1 });
    await takeOver(store, { hostId, renewals: 1, at: 8000 });
    assert.deepEqual(await claimResults(store, claim), ["job2", "job1", "job3"]);
    await requestCancel(store, { jobId: "job2", at: 8000 });
    assert.equal(await countUnpublished(store), 3);
  });

  test("a repeated attempt has no result, also after the loss of its host", async (context) => {
    const store = await open(context, create);
    await register(store);
    await insertClaimed(store, "job1");
    await insertClaimed(store, "job2");
    await applyEvent(store, { ...concluding("job2"), at: 1 });
    await applyEvent(store, { jobId: "job2", attempt: 1, event: "requeue", at: 2 });
    await takeOver(store, { hostId, renewals: 1, at: 8000 });
    assert.equal((await getJob(store, "job1"))?.state, "queued");
    assert.equal(await countUnpublished(store), 0);
  });

  test("the end of a job and its row are written together or not at all, independent of wakes", async (context) => {
    const store = await open(context, create);
    await insertClaimed(store, "job1");
    await applyEvent(store, { ...concluding("job1"), at: 1 });
    const settling = { jobId: "job1", attempt: 1, event: "settle_infra_error", at: 9000 } as const;
    await assert.rejects(
      store.write(async (trx, announce) => {
        await applyWithin({ store, trx, announce }, settling);
        throw new Error("in the middle");
      }),
    );
    await store.write(async (_trx, announce) => announce({ kind: "job", jobId: "job1", ended: true }));
    assert.equal(await countUnpublished(store), 0);
    await store.write((trx) => applyWithin({ store, trx, announce: () => {} }, settling));
    assert.deepEqual(await claimResults(store, claim), ["job1"]);
  });

  test("a store that does not record results has no rows", async (context) => {
    const [store] = (await openSeveral(context, create, 1)) as [Store];
    await insertClaimed(store, "job1");
    await end(store, "job1", "completed");
    assert.equal(await countUnpublished(store), 0);
  });

  test("the input of several results is read at once, in order", async (context) => {
    const store = await open(context, create);
    for (const id of ["job1", "job2"]) {
      await insertClaimed(store, id);
      await end(store, id, "completed");
    }
    const { jobs, failed } = await loadEndedJobs(store, ["job2", "job1", "gone"]);
    assert.deepEqual(failed, []);
    const results = jobs.map((facts) => buildJobResult({ ...facts, logUrl: null }));
    assert.deepEqual(
      results.map((result) => result.job_id),
      ["job2", "job1"],
    );
    assert.deepEqual(
      results[0]?.steps.map((step) => step.name),
      ["checkout", "build"],
    );
    assert.deepEqual(
      results[0]?.transitions.map((change) => change.to),
      ["queued", "provisioning", "finalizing", "succeeded"],
    );
  });

  test("a damaged row does not block other results", async (context) => {
    const store = await open(context, create);
    for (const id of ["job1", "job2"]) {
      await insertClaimed(store, id);
      await end(store, id, "completed");
    }
    await store.db.updateTable("jobs").set({ request: "{" }).where("id", "=", "job1").execute();
    const { jobs, failed } = await loadEndedJobs(store, ["job1", "job2"]);
    assert.deepEqual([failed.map(({ jobId }) => jobId), jobs.map(({ job }) => job.id)], [["job1"], ["job2"]]);
  });
}

function sharing(create: CreateDatabase): void {
  async function withResults(context: TestContext, count: number): Promise<[Store, Store]> {
    const stores = (await openSeveral(context, create, { count: 2, recordsResults: true })) as [Store, Store];
    const ids = Array.from({ length: count }, (_, index) => `job${index}`);
    await Promise.all(ids.map((id) => insertJob(stores[0], newJob(id))));
    await Promise.all(ids.map((jobId) => requestCancel(stores[0], { jobId, at: 6000 })));
    return stores;
  }

  test("concurrent claims never overlap, and leave no result out", async (context) => {
    const [one, two] = await withResults(context, 60);
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        claimResults(index % 2 ? one : two, { ...claim, hostId: `host-${index}`, limit: 10 }),
      ),
    );
    const claimed = claims.flat();
    assert.equal(new Set(claimed).size, claimed.length, "claimed twice");
    const rest = await claimResults(one, claim);
    assert.equal(claimed.length + rest.length, 60);
  });

  test("a claim ends with its time or its release; a published result stays published", async (context) => {
    const [one, two] = await withResults(context, 2);
    assert.deepEqual((await claimResults(one, claim)).sort(), ["job0", "job1"]);
    const other = { ...claim, hostId: "host-b" };
    assert.deepEqual(await claimResults(two, other), []);
    await markPublished(one, { jobIds: ["job0"], at: 11_000 });
    await releaseResults(two, { hostId: "host-b" });
    assert.deepEqual(await claimResults(two, other), [], "a host releases only its own claims");
    await releaseResults(one, { hostId, jobIds: ["job1"] });
    assert.deepEqual(await claimResults(two, other), ["job1"]);
    const later = { ...claim, at: 20_001, until: 30_000 };
    assert.deepEqual(await claimResults(one, later), ["job1"], "the time of the other host's claim is over");
    await releaseResults(one, { hostId });
    await markPublished(two, { jobIds: ["job1"], at: 21_000 });
    assert.deepEqual(await claimResults(one, { ...later, at: 40_000 }), []);
    assert.equal(await countUnpublished(one), 0);
  });
}
