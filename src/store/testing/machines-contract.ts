import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { verdict } from "../../core/job/verdict.ts";
import { closeAttempt, findBySession } from "../jobs/attempts.ts";
import { applyEvent } from "../jobs/jobs.ts";
import { getMachine, listMachines, recordFinish, setMachineState, touchRunner } from "../jobs/machines.ts";
import { finishStep, listSteps, startStep } from "../jobs/steps.ts";
import type { Store } from "../store.ts";
import { bindSession, claim, hostId, insertClaimed } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

const attempt = { jobId: "job1", attempt: 1 } as const;
const bootstrapTokenHash = "boot-job1-2000";

/** Machines, the runner's session, and steps. */
export function machinesContract(create: CreateDatabase): void {
  describe("machines", () => machineRecords(create));
  describe("sessions", () => sessions(create));
  describe("steps", () => steps(create));
}

function machineRecords(create: CreateDatabase): void {
  test("a machine's state only goes forward", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const set = async (state: Parameters<typeof setMachineState>[1]["state"], at: number) => {
      await setMachineState(store, { ...attempt, state, at });
      const machine = await getMachine(store, attempt);
      return [machine?.state, machine?.stateSinceAt];
    };
    assert.deepEqual(await set("created", 1), ["created", 1]);
    assert.deepEqual(await set("created", 2), ["created", 1]);
    assert.deepEqual(await set("stopping", 3), ["stopping", 3]);
    assert.deepEqual(await set("running", 4), ["stopping", 3]);
    assert.deepEqual(await set("intended", 4), ["stopping", 3]);
    assert.deepEqual(await set("gone", 5), ["gone", 5]);
  });

  test("a host's machines are listed until they are gone, whatever the state of the job", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await insertClaimed(store, "job2");
    await setMachineState(store, { ...attempt, state: "gone", at: 1 });
    await setMachineState(store, { jobId: "job2", attempt: 1, state: "stopping", at: 1 });
    assert.deepEqual(
      (await listMachines(store, hostId)).map((machine) => machine.jobId),
      ["job2"],
    );
    assert.deepEqual(await listMachines(store, "host-b"), []);
    assert.equal(await getMachine(store, { jobId: "job1", attempt: 2 }), null);
  });

  test("the runner's reports are recorded, and its first Finish wins", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await touchRunner(store, { ...attempt, at: 70 });
    assert.equal((await getMachine(store, attempt))?.runnerSeenAt, 70);
    const finish = {
      ...attempt,
      at: 80,
      exitCode: 3,
      failure: "checkout",
      logLength: 9,
      logSha256: "ab",
    } as const;
    assert.equal(await recordFinish(store, finish), true);
    assert.equal(await recordFinish(store, { ...finish, at: 90, exitCode: 0, failure: null }), false);
    assert.equal(await recordFinish(store, { ...finish, attempt: 2 }), false);
    const machine = await getMachine(store, attempt);
    assert.deepEqual(
      [machine?.runnerFinishedAt, machine?.runnerSeenAt, machine?.runnerExitCode, machine?.runnerFailure],
      [80, 80, 3, "checkout"],
    );
    assert.deepEqual([machine?.logLength, machine?.logSha256], [9, "ab"]);
  });
}

function sessions(create: CreateDatabase): void {
  const bind = (store: Store, sessionTokenHash: string) =>
    bindSession(store, { bootstrapTokenHash, sessionTokenHash, at: 3000 });

  test("the one-time token is exchanged for one session; a repeat gets the same", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const machine = await bind(store, "session");
    assert.deepEqual([machine?.jobId, machine?.attempt, machine?.runnerStartedAt], ["job1", 1, 3000]);
    assert.deepEqual(await bind(store, "session"), machine);
    assert.equal(await bind(store, "thief"), null);
    assert.deepEqual((await findBySession(store, "session"))?.machine, machine);
    assert.equal(await findBySession(store, "thief"), null);
    const unknown = { bootstrapTokenHash: "unknown", sessionTokenHash: "x", at: 1 };
    assert.equal(await bindSession(store, unknown), null);
  });

  test("of many callers that use the token at once, one gets a session", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const tries = Array.from({ length: 20 }, (_, index) => bind(store, `session${index}`));
    const bound = (await Promise.all(tries)).filter((machine) => machine !== null);
    assert.equal(bound.length, 1);
    assert.equal((await getMachine(store, attempt))?.sessionTokenHash, bound[0]?.sessionTokenHash);
  });

  test("no session is opened once the machine stops or the job has its verdict", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await setMachineState(store, { ...attempt, state: "stopping", at: 1 });
    assert.equal(await bind(store, "session"), null);
    await insertClaimed(store, "job2");
    const silent = verdict("runner_silent", "No heartbeat from the runner.");
    await applyEvent(store, { jobId: "job2", attempt: 1, event: "conclude", at: 1, verdict: silent });
    const late = { bootstrapTokenHash: "boot-job2-2000", sessionTokenHash: "session2", at: 1 };
    assert.equal(await bindSession(store, late), null);
  });

  test("a session ends with its machine, and with its attempt", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await bind(store, "session");
    await setMachineState(store, { ...attempt, state: "stopping", at: 1 });
    assert.notEqual(await findBySession(store, "session"), null);
    assert.equal(await bind(store, "session"), null);
    await setMachineState(store, { ...attempt, state: "gone", at: 1 });
    assert.equal(await findBySession(store, "session"), null);
  });

  test("the session of an attempt that is over is invalid", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await bind(store, "session");
    const silent = verdict("runner_silent", "No heartbeat from the runner.");
    await applyEvent(store, { ...attempt, event: "conclude", at: 1, verdict: silent });
    await applyEvent(store, { ...attempt, event: "requeue", at: 2 });
    await claim(store, "job1", 5000);
    assert.equal(await findBySession(store, "session"), null);
    assert.equal(await bind(store, "session"), null);
  });
}

function steps(create: CreateDatabase): void {
  const states = async (store: Store) =>
    (await listSteps(store, attempt)).map((step) => [step.state, step.exitCode]);

  test("a step starts and ends once", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const start = { ...attempt, index: 0, at: 10, logOffset: 5 };
    await startStep(store, start);
    await startStep(store, { ...start, at: 11, logOffset: 6 });
    await finishStep(store, { ...start, at: 20, logOffset: 50, exitCode: 0 });
    await finishStep(store, { ...start, at: 21, logOffset: 51, exitCode: 1 });
    await startStep(store, { ...start, at: 22 });
    assert.deepEqual((await listSteps(store, attempt))[0], {
      ...attempt,
      index: 0,
      name: "checkout",
      state: "succeeded",
      exitCode: 0,
      startedAt: 10,
      finishedAt: 20,
      logStart: 5,
      logEnd: 50,
    });
  });

  test("a step whose start was lost still ends; a step that does not exist is refused", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await finishStep(store, { ...attempt, index: 1, at: 20, logOffset: 50, exitCode: 7 });
    const step = (await listSteps(store, attempt))[1];
    assert.deepEqual([step?.state, step?.startedAt, step?.logStart], ["failed", 20, 50]);
    const missing = { ...attempt, index: 2, at: 1, logOffset: 0 };
    await assert.rejects(startStep(store, missing), { code: "not_found" });
    await assert.rejects(finishStep(store, { ...missing, exitCode: 0 }), { code: "not_found" });
  });

  test("closing an attempt ends its open steps only", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    await startStep(store, { ...attempt, index: 0, at: 10, logOffset: 0 });
    await closeAttempt(store, { ...attempt, at: 30 });
    assert.deepEqual(await states(store), [
      ["failed", null],
      ["skipped", null],
    ]);
    await closeAttempt(store, { ...attempt, at: 40 });
    assert.equal((await listSteps(store, attempt))[0]?.finishedAt, 30);
    await finishStep(store, { ...attempt, index: 0, at: 50, logOffset: 9, exitCode: 0 });
    assert.deepEqual(await states(store), [
      ["failed", null],
      ["skipped", null],
    ]);
  });
}
