import assert from "node:assert/strict";
import { test } from "node:test";
import { countedSlots, decideHold, holdEndsAt } from "./hold.ts";
import type { Job, Machine } from "./job.ts";
import { verdict } from "./verdict.ts";

const policy = { maxHolds: 2, holdLimitSeconds: 3600, onHold: 0 };

function jobThat(changes: Partial<Job> = {}): Job {
  const request = { hold_on_failure_seconds: 1800 };
  return { id: "job1", state: "running", cancelRequestedAt: null, verdict: null, request, ...changes } as Job;
}

const machine = { state: "running", holdUntilAt: null, holdReleasedAt: null, holdRefusal: null } as Machine;
const failed = { exitCode: 3, failure: null };

function answer(changes: { job?: Job; machine?: Machine; end?: object }, more: Partial<typeof policy> = {}) {
  const attempt = { job: jobThat(), machine, end: failed, ...changes };
  return decideHold(attempt as Parameters<typeof decideHold>[0], { ...policy, ...more });
}

test("the guest of a failed job is kept for the requested time, within the operator's limit", () => {
  assert.deepEqual(answer({}), { kind: "granted", seconds: 1800 });
  assert.deepEqual(answer({}, { holdLimitSeconds: 60 }), { kind: "granted", seconds: 60 });
  assert.equal(answer({ end: { exitCode: 128, failure: "checkout" } }).kind, "granted");
  assert.equal(answer({ end: { exitCode: 0, failure: "artifact_missing" } }).kind, "granted");
  const timedOut = jobThat({ state: "finalizing", verdict: verdict("job_timeout", "x") });
  assert.equal(answer({ job: timedOut }).kind, "granted");
  assert.equal(answer({ job: timedOut, end: { exitCode: 0, failure: null } }).kind, "granted");
});

test("no guest is kept without a request, or after a success, a cancellation or an infrastructure failure", () => {
  const none: [string, Parameters<typeof answer>[0]][] = [
    ["not requested", { job: jobThat({ request: {} as Job["request"] }) }],
    ["success", { end: { exitCode: 0, failure: null } }],
    ["cancelled", { job: jobThat({ cancelRequestedAt: 1 }) }],
    ["artifacts that this host could not keep", { end: { exitCode: 0, failure: "artifact_upload" } }],
    ["killed runner", { end: { exitCode: 137, failure: "runner_killed" } }],
    ["shut down from inside", { end: { exitCode: 137, failure: "guest_shutdown" } }],
    ["host shuts down", { job: jobThat({ state: "finalizing", verdict: verdict("host_shutdown", "x") }) }],
    ["silence", { job: jobThat({ state: "finalizing", verdict: verdict("runner_silent", "x") }) }],
    [
      "cancelled, and finalizing",
      { job: jobThat({ state: "finalizing", verdict: verdict("cancelled_by_user", "x") }) },
    ],
  ];
  for (const [name, changes] of none) assert.deepEqual(answer(changes), { kind: "none" }, name);
});

test("a refusal has its reason", () => {
  assert.deepEqual(answer({}, { maxHolds: 0 }), { kind: "refused", refusal: "forbidden" });
  assert.deepEqual(answer({}, { onHold: 2 }), { kind: "refused", refusal: "no_place" });
  assert.equal(answer({}, { onHold: 1 }).kind, "granted");
  const late = { ...machine, state: "stopping" } as const;
  assert.deepEqual(answer({ machine: late }), { kind: "refused", refusal: "too_late" });
});

test("a hold ends at its time, by release, by cancellation, and with its job", () => {
  const held = { ...machine, holdUntilAt: 1000 };
  const job = jobThat({ state: "finalizing" });
  assert.equal(holdEndsAt(job, held, 999), 1000);
  assert.equal(holdEndsAt(job, held, 1000), null);
  assert.equal(holdEndsAt(job, { ...held, holdReleasedAt: 5 }, 10), null);
  assert.equal(holdEndsAt(jobThat({ state: "finalizing", cancelRequestedAt: 5 }), held, 10), null);
  assert.equal(holdEndsAt(jobThat({ state: "failed" }), held, 10), null);
  assert.equal(holdEndsAt(job, machine, 10), null);
});

test("guests on hold take no slot, up to the operator's limit", () => {
  const active = ["a", "b", "c", "d"].map((id) => ({ id, onHold: id !== "b" }));
  const counted = (maxHolds: number) => countedSlots(active, maxHolds).map(({ id }) => id);
  assert.deepEqual(counted(3), ["b"]);
  assert.deepEqual(counted(2), ["b", "d"]);
  assert.deepEqual(counted(0), ["a", "b", "c", "d"]);
});
