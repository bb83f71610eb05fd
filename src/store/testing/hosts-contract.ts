import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HostFacts } from "../../core/hosts/host-facts.ts";
import { type VerdictReason, verdict } from "../../core/job/verdict.ts";
import { countActiveByHost, leaveHosts, listHosts, renewLease } from "../hosts/hosts.ts";
import { maxTakenAtOnce, takeOver } from "../hosts/takeover.ts";
import { closeAttempt, findBySession } from "../jobs/attempts.ts";
import { applyEvent, getJob, insertJob, listTransitions, requestCancel } from "../jobs/jobs.ts";
import { getMachine, recordFinish, setMachineState } from "../jobs/machines.ts";
import { finishStep, listSteps, startStep } from "../jobs/steps.ts";
import { appendLog, readLog } from "../logs/logs.ts";
import type { Store, Wake } from "../store.ts";
import { bindSession, claim, hostId, insertClaimed, newJob } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest, openSeveral } from "./test-database.ts";

const attempt = { jobId: "job1", attempt: 1 } as const;
const log = { ...attempt, stream: "output", offset: 0, limitBytes: 99 } as const;
const finish = { ...attempt, at: 5000, exitCode: 0, failure: null, logLength: 0, logSha256: "ab" } as const;

/** Facts of a host, for tests. */
export const facts: HostFacts = {
  hostname: "a.example",
  version: "1.2.3",
  startedAt: 1,
  backend: "noop",
  draining: false,
  drainRequestedAt: null,
  restartGraceSeconds: null,
  maxConcurrency: 4,
  maxHolds: 1,
  labelCaps: { debian: 2 },
  defaultLabel: "debian",
  labels: { debian: "debian" },
  sizes: { small: { cpu: 1, ramMb: 512, diskGb: null } },
  images: { debian: { defaults: { cpu: 1, ramMb: 512, diskGb: 4 }, ready: true } },
  unfit: {},
  paused: null,
  apiUrl: null,
};

/** Hosts that share the store: leases, takeovers, and late writes of a host after a takeover (which change nothing). */
export function hostsContract(create: CreateDatabase): void {
  describe("leases", () => leases(create));
  describe("takeovers", () => takeovers(create));
  describe("fencing", () => fencing(create));
}

function renew(store: Store, at: number, host = hostId) {
  return renewLease(store, { hostId: host, at, facts });
}

/** A registered host with a claimed job whose runner has called and is in its first step. */
async function openWithRunningJob(context: Parameters<typeof openForTest>[0], create: CreateDatabase) {
  const store = await openForTest(context, create);
  await renew(store, 10);
  await insertClaimed(store, "job1");
  await setMachineState(store, { ...attempt, state: "running", at: 2100 });
  await bindSession(store, { bootstrapTokenHash: "boot-job1-2000", sessionTokenHash: "session", at: 2200 });
  await applyEvent(store, { ...attempt, event: "start", at: 2200 });
  await startStep(store, { ...attempt, index: 0, at: 2300, logOffset: 0 });
  await appendLog(store, { ...log, data: Buffer.from("before") });
  return store;
}

const lose = (store: Store, at = 4000) => takeOver(store, { hostId, renewals: 1, at });

function leases(create: CreateDatabase): void {
  test("a lease's number grows with each renewal, and its host's facts are from the last one", async (context) => {
    const store = await openForTest(context, create);
    assert.deepEqual(await renew(store, 10), { lostAt: null });
    await renew(store, 20, "host-b");
    await renewLease(store, { hostId, at: 30, facts: { ...facts, draining: true } });
    const hosts = await listHosts(store);
    assert.deepEqual(
      hosts.map((host) => [host.hostId, host.renewals, host.registeredAt, host.renewedAt, host.lostAt]),
      [
        [hostId, 2, 10, 30, null],
        ["host-b", 1, 20, 20, null],
      ],
    );
    assert.deepEqual(hosts[0]?.facts, { ...facts, draining: true });
  });

  test("the next renewal of a lost host returns the time of the loss, once", async (context) => {
    const store = await openForTest(context, create);
    await renew(store, 10);
    assert.deepEqual(await lose(store, 50), { jobs: [], more: false });
    assert.equal((await listHosts(store))[0]?.lostAt, 50);
    assert.deepEqual(await renew(store, 60), { lostAt: 50 });
    assert.deepEqual(await renew(store, 70), { lostAt: null });
  });

  test("a host that left is lost at once, and returns with its next renewal", async (context) => {
    const store = await openForTest(context, create);
    await renew(store, 10);
    await leaveHosts(store, { hostId, at: 20, facts: { ...facts, draining: true } });
    const [left] = await listHosts(store);
    assert.deepEqual([left?.lostAt, left?.renewals, left?.facts.draining], [20, 2, true]);
    await renew(store, 30);
    assert.equal((await listHosts(store))[0]?.lostAt, null);
  });

  test("active jobs are counted for each host", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await insertClaimed(store, "job2");
    await insertJob(store, newJob("job3"));
    assert.deepEqual([...(await countActiveByHost(store))], [[hostId, { jobs: 2, onHold: 0 }]]);
  });

  test("a host with facts of another version is listed", async (context) => {
    const store = await openForTest(context, create);
    await renew(store, 10);
    await store.write(async (trx) => {
      await trx.updateTable("hosts").set({ facts: '{"hostname":"x","new":1}' }).execute();
    });
    const [host] = await listHosts(store);
    assert.deepEqual([host?.facts.hostname, host?.facts.images], ["x", {}]);
  });
}

function takeovers(create: CreateDatabase): void {
  test("a lost host's running job waits for its next attempt, and every change is recorded", async (context) => {
    const store = await openWithRunningJob(context, create);
    const wakes: Wake[] = [];
    store.subscribe((wake) => wakes.push(wake));
    const taken = await lose(store);
    assert.deepEqual(
      taken?.jobs.map((job) => [job.id, job.state, job.attempt]),
      [["job1", "queued", 1]],
    );
    const transitions = await listTransitions(store, "job1");
    assert.deepEqual(
      transitions.map((change) => [change.to, change.reason, change.hostId]),
      [
        ["queued", null, null],
        ["provisioning", null, hostId],
        ["running", null, hostId],
        ["finalizing", "host_lost", hostId],
        ["queued", "host_lost", hostId],
      ],
    );
    const steps = await listSteps(store, attempt);
    assert.deepEqual(
      steps.map((step) => step.state),
      ["failed", "skipped"],
    );
    assert.ok(wakes.some((wake) => wake.kind === "queue"));
    // Its guest may still run: the record stays with the host, which removes the guest when it is back.
    assert.equal((await getMachine(store, attempt))?.state, "running");
    await renew(store, 4100, "host-b");
    const again = await claim(store, "job1", 4200);
    assert.equal(again, null, "the lost host cannot claim");
    await renew(store, 4300);
    assert.equal((await claim(store, "job1", 4400))?.attempt, 2);
  });

  test("a host that renewed after its lease was observed is not taken over", async (context) => {
    const store = await openWithRunningJob(context, create);
    await renew(store, 3000);
    assert.equal(await lose(store), null);
    assert.equal((await getJob(store, "job1"))?.state, "running");
    assert.equal((await listHosts(store))[0]?.lostAt, null);
  });

  test("without attempts left the loss is the job's verdict; a cancelled job is cancelled", async (context) => {
    const store = await openForTest(context, create);
    await renew(store, 10);
    await insertClaimed(store, "last", { maxAttempts: 1 });
    await insertClaimed(store, "stopped");
    await requestCancel(store, { jobId: "stopped", at: 3000 });
    await lose(store);
    const states = await Promise.all(["last", "stopped"].map((id) => getJob(store, id)));
    assert.deepEqual(
      states.map((job) => [job?.state, job?.verdict?.reason, job?.finishedAt]),
      [
        ["infra_error", "host_lost", 4000],
        ["cancelled", "cancelled_by_user", 4000],
      ],
    );
  });

  const kept: [VerdictReason, string][] = [
    ["completed", "succeeded"],
    ["step_failed", "failed"],
    ["job_timeout", "timed_out"],
    ["guest_crashed", "queued"],
    ["host_shutdown", "queued"],
  ];
  for (const [reason, state] of kept) {
    test(`a job that is finalizing as ${reason} keeps that verdict and becomes ${state}`, async (context) => {
      const store = await openWithRunningJob(context, create);
      const ended = verdict(reason, "Known before.", null);
      await applyEvent(store, { ...attempt, event: "conclude", at: 3000, verdict: ended });
      await lose(store);
      const job = await getJob(store, "job1");
      assert.deepEqual([job?.state, job?.verdict], [state, ended]);
    });
  }

  test("a runner's Finish counts even if its host is lost", async (context) => {
    const store = await openWithRunningJob(context, create);
    await recordFinish(store, { ...finish, at: 2900 });
    await lose(store);
    const job = await getJob(store, "job1");
    assert.deepEqual([job?.state, job?.verdict?.reason], ["succeeded", "completed"]);
  });

  test("many jobs are taken over in parts, oldest first; waiting jobs do not change", async (context) => {
    const store = await openForTest(context, create);
    await renew(store, 10);
    const count = maxTakenAtOnce + 3;
    for (let index = 0; index < count; index += 1) {
      await insertClaimed(store, `job${String(index).padStart(4, "0")}`, { submittedAt: 5000 - index });
    }
    await insertJob(store, newJob("waiting"));
    const first = await lose(store);
    assert.deepEqual([first?.jobs.length, first?.more], [maxTakenAtOnce, true]);
    assert.equal(first?.jobs[0]?.id, `job0${count - 1}`);
    const second = await lose(store);
    assert.deepEqual([second?.jobs.length, second?.more], [3, false]);
    assert.deepEqual([...(await countActiveByHost(store))], []);
    assert.equal((await listTransitions(store, "waiting")).length, 1);
  });

  test("of two concurrent takeovers each job is taken by one", async (context) => {
    const stores = (await openSeveral(context, create, 2)) as [Store, Store];
    await renew(stores[0], 10);
    for (let index = 0; index < 20; index += 1) await insertClaimed(stores[0], `job${index}a`);
    const takings = await Promise.all(stores.map((store) => lose(store)));
    assert.equal(takings.flatMap((taken) => taken?.jobs ?? []).length, 20);
  });

  test("a concurrent renewal and takeover: either the takeover fails, or the renewal returns the loss", async (context) => {
    const stores = (await openSeveral(context, create, 2)) as [Store, Store];
    for (let round = 0; round < 20; round += 1) {
      const host = `host-${round}`;
      await renew(stores[0], 10, host);
      const [renewed, taken] = await Promise.all([
        renew(stores[0], 20, host),
        takeOver(stores[1], { hostId: host, renewals: 1, at: 20 }),
      ]);
      assert.equal(renewed.lostAt !== null, taken !== null);
      const found = (await listHosts(stores[0])).find((one) => one.hostId === host);
      assert.equal(found?.lostAt, null);
    }
  });
}

function fencing(create: CreateDatabase): void {
  test("while the job waits again, its old guest is refused and cannot change anything", async (context) => {
    const store = await openWithRunningJob(context, create);
    await lose(store);
    assert.equal(await findBySession(store, "session"), null);
    const hashes = { bootstrapTokenHash: "boot-job1-2000", sessionTokenHash: "session", at: 4100 };
    assert.equal(await bindSession(store, hashes), null);
    await assert.rejects(appendLog(store, { ...log, offset: 6, data: Buffer.from("late") }), {
      code: "conflict",
    });
    assert.equal((await readLog(store, { ...log, maxBytes: 99 })).toString(), "before");
    assert.equal(await recordFinish(store, finish), false);
    await finishStep(store, { ...attempt, index: 0, at: 4200, logOffset: 6, exitCode: 0 });
    await startStep(store, { ...attempt, index: 1, at: 4200, logOffset: 6 });
    assert.deepEqual(
      (await listSteps(store, attempt)).map((step) => step.state),
      ["failed", "skipped"],
    );
    assert.equal((await getMachine(store, attempt))?.runnerFinishedAt, null);
  });

  const events = ["boot", "start", "conclude", "requeue", "settle_infra_error", "settle_cancelled"] as const;
  const ended = { settle_cancelled: verdict("cancelled_by_user", "x"), other: verdict("guest_lost", "x") };
  for (const event of events) {
    test(`its old host's late ${event} changes neither the waiting job nor the next attempt`, async (context) => {
      const store = await openWithRunningJob(context, create);
      await lose(store);
      const given = event === "settle_cancelled" ? ended.settle_cancelled : ended.other;
      const late = { ...attempt, event, at: 4500, verdict: given, holder: hostId };
      const before = await getJob(store, "job1");
      assert.equal(await applyEvent(store, late), null);
      assert.deepEqual(await getJob(store, "job1"), before);
      await renew(store, 4600);
      const next = await claim(store, "job1", 4700);
      assert.equal(await applyEvent(store, late), null);
      assert.equal(await applyEvent(store, { ...late, attempt: 2, holder: "host-b" }), null);
      assert.deepEqual(await getJob(store, "job1"), next);
    });
  }

  test("the fence does not stop the host that holds the job", async (context) => {
    const store = await openWithRunningJob(context, create);
    const ended = verdict("completed", "Every step succeeded.", 0);
    const by = { ...attempt, holder: hostId };
    await applyEvent(store, { ...by, event: "conclude", at: 3000, verdict: ended });
    assert.equal(
      (await applyEvent(store, { ...by, event: "settle_succeeded", at: 3100 }))?.state,
      "succeeded",
    );
  });

  test("records of the old host change only its old machine", async (context) => {
    const store = await openWithRunningJob(context, create);
    await lose(store);
    await renew(store, 4300);
    await claim(store, "job1", 4400);
    await setMachineState(store, { ...attempt, state: "gone", at: 4500 });
    await closeAttempt(store, { ...attempt, at: 4500 });
    assert.equal((await getMachine(store, attempt))?.state, "gone");
    const second = { ...attempt, attempt: 2 };
    assert.equal((await getMachine(store, second))?.state, "intended");
    assert.deepEqual(
      (await listSteps(store, second)).map((step) => step.state),
      ["pending", "pending"],
    );
    await assert.rejects(appendLog(store, { ...log, offset: 6, data: Buffer.from("late") }), {
      code: "conflict",
    });
  });

  test("a claim that commits during a takeover is found by the next takeover", async (context) => {
    const stores = (await openSeveral(context, create, 2)) as [Store, Store];
    await renew(stores[0], 10);
    for (let index = 0; index < 20; index += 1) await insertJob(stores[0], newJob(`job${index}a`));
    const ids = Array.from({ length: 20 }, (_, index) => `job${index}a`);
    await Promise.all([...ids.map((id) => claim(stores[0], id, 100)), lose(stores[1])]);
    await lose(stores[1]);
    assert.deepEqual([...(await countActiveByHost(stores[0]))], []);
    for (const id of ids) assert.equal(await claim(stores[0], id, 200), null);
  });
}
