import assert from "node:assert/strict";
import { test } from "node:test";
import type { HoldAnswer } from "../../core/job/hold.ts";
import { verdict } from "../../core/job/verdict.ts";
import { countActiveByHost, renewLease } from "../hosts/hosts.ts";
import { takeOver } from "../hosts/takeover.ts";
import { loadAttempt } from "../jobs/attempts.ts";
import { listSlots } from "../jobs/capacity.ts";
import { listHolds, releaseHold } from "../jobs/holds.ts";
import { applyEvent, requestCancel } from "../jobs/jobs.ts";
import { recordFinish, setMachineState } from "../jobs/machines.ts";
import type { Store, Wake } from "../store.ts";
import { facts } from "./hosts-contract.ts";
import { hostId, insertClaimed } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

/**
 * Ends a job of this host as its runner would, with at most `places` guests on hold; returns the number of guests on
 * hold before.
 */
async function finish(store: Store, jobId: string, places = 1): Promise<number> {
  let counted = -1;
  const decide = (onHold: number): HoldAnswer => {
    counted = onHold;
    return onHold < places ? { kind: "granted", seconds: 60 } : { kind: "refused", refusal: "no_place" };
  };
  const end = { exitCode: 1, failure: null, logLength: 0, logSha256: "ab", at: 5000 };
  assert.ok(await recordFinish(store, { jobId, attempt: 1, ...end, hold: { hostId, decide } }));
  return counted;
}

async function conclude(store: Store, jobId: string): Promise<void> {
  const ended = verdict("step_failed", "No.", 1);
  await applyEvent(store, { jobId, attempt: 1, event: "conclude", at: 5001, verdict: ended });
}

/** Guests of failed jobs on hold. */
export function holdsContract(create: CreateDatabase): void {
  test("a hold is granted with Finish, frees the slot with a wake, and is listed", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const wakes: Wake[] = [];
    context.after(store.subscribe((wake) => wakes.push(wake)));
    assert.equal(await finish(store, "job1"), 0);
    await conclude(store, "job1");
    const attempt = await loadAttempt(store, "job1");
    assert.equal(attempt?.machine.holdUntilAt, 65_000);
    assert.equal(attempt?.machine.holdReleasedAt, null);
    assert.ok(wakes.some((wake) => wake.kind === "job" && wake.onHold === true));
    assert.deepEqual(
      (await listSlots(store, hostId)).map(({ id, onHold }) => [id, onHold]),
      [["job1", true]],
    );
    assert.deepEqual((await countActiveByHost(store)).get(hostId), { jobs: 1, onHold: 1 });
    const holds = await listHolds(store, [{ id: "job1", attempt: 1 }]);
    assert.deepEqual(holds.get("job1"), { holdUntilAt: 65_000, holdReleasedAt: null, holdRefusal: null });
  });

  test("guests that end at once are counted one after the other, and a removed guest frees its place", async (context) => {
    const store = await openForTest(context, create);
    await renewLease(store, { hostId, at: 1, facts });
    const ids = Array.from({ length: 6 }, (_, index) => `job${index + 1}`);
    for (const id of ids) await insertClaimed(store, id);
    await Promise.all(ids.map((id) => finish(store, id, 2)));
    const holds = await listHolds(
      store,
      ids.map((id) => ({ id, attempt: 1 })),
    );
    const kept = ids.filter((id) => holds.get(id)?.holdUntilAt === 65_000);
    assert.equal(kept.length, 2);
    assert.equal(ids.filter((id) => holds.get(id)?.holdRefusal === "no_place").length, 4);
    const [first = ""] = kept;
    await releaseHold(store, { jobId: first, attempt: 1, at: 6000 });
    await insertClaimed(store, "late1");
    assert.equal(await finish(store, "late1", 2), 2, "the guest is being removed, but still exists");
    await setMachineState(store, { jobId: first, attempt: 1, state: "gone", at: 7000 });
    await insertClaimed(store, "late2");
    assert.equal(await finish(store, "late2", 2), 1);
  });

  test("a hold is released once; without a hold nothing is released", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const release = (at: number) => releaseHold(store, { jobId: "job1", attempt: 1, at });
    assert.equal(await release(1), false);
    await finish(store, "job1");
    assert.equal(await release(6000), true);
    assert.equal(await release(7000), false);
    assert.equal((await loadAttempt(store, "job1"))?.machine.holdReleasedAt, 6000);
  });

  test("a takeover ends a hold, and the job keeps its verdict", async (context) => {
    const store = await openForTest(context, create);
    await renewLease(store, { hostId, at: 1, facts });
    await insertClaimed(store, "job1");
    await finish(store, "job1");
    await conclude(store, "job1");
    await requestCancel(store, { jobId: "job1", at: 5500 });
    const taken = await takeOver(store, { hostId, renewals: 1, at: 6000 });
    assert.deepEqual(
      taken?.jobs.map((job) => [job.state, job.verdict?.reason]),
      [["failed", "step_failed"]],
    );
    assert.equal(await releaseHold(store, { jobId: "job1", attempt: 1, at: 7000 }), false);
    // Its record may remain, but occupies no place any more.
    await renewLease(store, { hostId, at: 7001, facts });
    await insertClaimed(store, "job2");
    assert.equal(await finish(store, "job2"), 0);
  });
}
