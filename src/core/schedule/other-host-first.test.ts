import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { explain } from "./explain.ts";
import { explainAcross } from "./explain-across.ts";
import { freeSlotOn } from "./free-slot.ts";
import { lastAttemptOf, leftToOthers, otherHostFirstMs } from "./other-host-first.ts";
import { type SchedulerSnapshot, schedule } from "./scheduler.ts";
import { hostRecord } from "./testing/hosts.ts";
import { arbitrarySnapshot, queuedJob, runningJob, snapshotOf } from "./testing/scheduler-snapshots.ts";

const now = 1_000_000_000;
const failedHere = (agoMs: number) => ({ lastAttempt: { hostId: "here", endedAt: now - agoMs } });

test("a job whose attempt has just ended here is left to other hosts for a limited time, if one has room", () => {
  const chosen = (agoMs: number, given: Partial<SchedulerSnapshot> = {}) =>
    schedule(
      snapshotOf({
        queued: [queuedJob("a", failedHere(agoMs))],
        now,
        othersHaveFreeSlot: () => true,
        ...given,
      }),
    );
  assert.deepEqual(chosen(0), []);
  assert.deepEqual(chosen(otherHostFirstMs - 1), []);
  assert.deepEqual(chosen(otherHostFirstMs), ["a"]);
  assert.deepEqual(chosen(0, { hostId: "there" }), ["a"]);
  assert.deepEqual(chosen(0, { othersHaveFreeSlot: () => false }), ["a"]);
  // The end was recorded by a clock ahead of ours: it does not count.
  assert.deepEqual(chosen(-1), ["a"]);
});

test("a job that is left to others does not hold back jobs of its own kind", () => {
  const queued = [
    queuedJob("first", { ...failedHere(0), submittedAt: 1 }),
    queuedJob("second", { submittedAt: 2 }),
  ];
  assert.deepEqual(schedule(snapshotOf({ queued, now, othersHaveFreeSlot: () => true })), ["second"]);
});

const anyAttempts = fc
  .tuple(
    arbitrarySnapshot,
    fc.array(
      fc.record({
        index: fc.nat(29),
        hostId: fc.constantFrom("here", "there"),
        agoMs: fc.integer({ min: -1000, max: 2 * otherHostFirstMs }),
      }),
    ),
    fc.subarray(["debian", "ubuntu-cloud", "illumos"]),
  )
  .map(([snapshot, attempts, elsewhere]) => {
    const queued = snapshot.queued.map((job, index) => {
      const attempt = attempts.find((each) => each.index === index);
      if (attempt === undefined) return job;
      return { ...job, lastAttempt: { hostId: attempt.hostId, endedAt: snapshot.now - attempt.agoMs } };
    });
    return {
      ...snapshot,
      queued,
      othersHaveFreeSlot: ({ image }: { image: string }) => elsewhere.includes(image),
    };
  });

test("for any queue the choice is the same without the jobs left to others, and explain agrees", () => {
  fc.assert(
    fc.property(anyAttempts, (snapshot) => {
      const left = snapshot.queued.filter((job) => leftToOthers(job, snapshot));
      const without = { ...snapshot, queued: snapshot.queued.filter((job) => !left.includes(job)) };
      assert.deepEqual(schedule(snapshot), schedule(without));
      for (const job of left) {
        assert.equal(job.lastAttempt?.hostId, snapshot.hostId);
        const reported = {
          ...snapshot,
          draining: false,
          recentDurations: [],
          queuedIsCut: false,
          paused: null,
          drain: null,
        };
        assert.equal(explain({ ...job, state: "queued" }, reported).constraint, "other_host_first");
      }
      // Without other hosts, or some time later, no job is left to others.
      const alone = { ...snapshot, othersHaveFreeSlot: () => false };
      const later = { ...snapshot, now: snapshot.now + 2 * otherHostFirstMs };
      for (const each of [alone, later]) assert.ok(!each.queued.some((job) => leftToOthers(job, each)));
    }),
  );
});

test("a host has a free slot if it holds its lease, starts jobs, has the image ready, and is under its caps", () => {
  const job = { label: "debian", image: "debian" };
  const host = (given: Parameters<typeof hostRecord>[1] = {}) =>
    hostRecord("h", { images: ["debian"], ...given });
  assert.ok(freeSlotOn(host(), [])(job));
  assert.ok(!freeSlotOn(host(), [])({ label: "illumos", image: "illumos" }));
  assert.ok(!freeSlotOn(host({ lostAt: 1 }), [])(job));
  assert.ok(!freeSlotOn(host({ facts: { draining: true } }), [])(job));
  assert.ok(!freeSlotOn(host({ facts: { paused: "The disk is full." } }), [])(job));
  assert.ok(!freeSlotOn(host({ facts: { maxConcurrency: 1 } }), [runningJob("r")])(job));
  assert.ok(!freeSlotOn(host({ facts: { labelCaps: { debian: 0 } } }), [])(job));
  const defaults = { cpu: 1, ramMb: 1, diskGb: 1 };
  assert.ok(!freeSlotOn(host({ facts: { images: { debian: { defaults, ready: false } } } }), [])(job));
});

test("only a job that waits again has a last attempt", () => {
  const job = { state: "queued", attempt: 1, hostId: "h", stateSinceAt: 5 } as const;
  assert.deepEqual(lastAttemptOf(job), { hostId: "h", endedAt: 5 });
  assert.equal(lastAttemptOf({ ...job, attempt: 0 }), null);
  assert.equal(lastAttemptOf({ ...job, state: "running" }), null);
});

test("across hosts: the host that is to take the job answers, and names the host of the last attempt", () => {
  const job = { ...queuedJob("a", failedHere(10)), state: "queued" as const };
  const host = (name: string, freeSlotsOfOthers: boolean, maxConcurrency = 4) => {
    const schedulerSnapshot = snapshotOf({
      hostId: name,
      queued: [job],
      now,
      othersHaveFreeSlot: () => freeSlotsOfOthers,
      maxConcurrency,
    });
    return {
      name,
      snapshot: { ...schedulerSnapshot, recentDurations: [], paused: null, queuedIsCut: false, drain: null },
    };
  };
  const both = {
    serving: [host("here", true), host("there", true)],
    live: [hostRecord("here"), hostRecord("there")],
    lost: [],
  };
  const answer = explainAcross(job, both);
  assert.equal(answer.constraint, "starting");
  assert.equal(answer.message, "Host there: The job is about to start. Its last attempt was on host here.");
  const alone = explainAcross(job, { ...both, serving: [host("here", true)] });
  assert.equal(alone.constraint, "other_host_first");
  assert.match(alone.message, /^Host here: The last attempt .* until 1970-01-12T13:47:09\.990Z\.$/);
  assert.equal(alone.estimatedStartAt, now - 10 + otherHostFirstMs);
});
