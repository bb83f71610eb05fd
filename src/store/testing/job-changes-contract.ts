import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { jobEvents, jobStates, transition } from "../../core/job/job-state.ts";
import { verdict } from "../../core/job/verdict.ts";
import { applyEvent, getJob, insertJob, listTransitions } from "../jobs/jobs.ts";
import type { Store } from "../store.ts";
import { claim, end, insertClaimed, newJob, wakesOf } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

const hostStopped = verdict("host_shutdown", "The host was stopped.");
const silent = verdict("runner_silent", "No heartbeat from the runner.");

/** The changes of a job by an event, and their records. */
export function jobChangesContract(create: CreateDatabase): void {
  describe("events", () => eventsContract(create));
}

function eventsContract(create: CreateDatabase): void {
  test("a job passes through its states, and every change is recorded", async (context) => {
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

  test("the store follows the transition table for every state and event", async (context) => {
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

  test("an event based on an older state does not undo later changes", async (context) => {
    const store = await openForTest(context, create);
    const lastRead = await insertClaimed(store, "job1");
    const change = { jobId: "job1", attempt: 1, at: 10 };
    for (const event of ["boot", "start"] as const) await applyEvent(store, { ...change, event });
    const answer = await applyEvent(store, { ...change, event: "boot", lastRead });
    assert.equal(answer?.state, "running");
    assert.equal((await getJob(store, "job1"))?.state, "running");
    assert.deepEqual(
      (await listTransitions(store, "job1")).map(({ to }) => to),
      ["queued", "provisioning", "booting", "running"],
    );
  });

  test("an event of an attempt that is over changes nothing", async (context) => {
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

  test("a waiting job settles with the given verdict; a missing or contradicting one is a defect", async (context) => {
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

/** Sets a job's state directly, without its history. */
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
