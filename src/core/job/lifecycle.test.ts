import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseJobRequest } from "../request/job-request.ts";
import type { Job, Machine, RunnerFailure } from "./job.ts";
import { activeStates, transition } from "./job-state.ts";
import { decide, type LifecycleLimits, type LifecycleSnapshot, verdictOfLostHost } from "./lifecycle.ts";
import { type VerdictReason, verdict, verdictReasons } from "./verdict.ts";

const limits: LifecycleLimits = {
  bootTimeoutMs: 300_000,
  stopTimeoutMs: 30_000,
  silenceTimeoutMs: 120_000,
  flushGraceMs: 10_000,
  cleanupTimeoutMs: 60_000,
  powerOffGraceMs: 8_000,
  pollMs: 15_000,
};

const start = 1_000_000_000;

const job: Job = {
  id: "abcd1234",
  request: parseJobRequest({ request_id: "0b5f0f63-8d0f-4d3b-9e57-0a3f2a6fd001", script: "true" }),
  state: "running",
  stateSinceAt: start,
  image: "tiny",
  label: "tiny",
  size: { cpu: 1, ramMb: 256, diskGb: 1 },
  fairKey: "none",
  priority: 0,
  timeoutSeconds: 3600,
  attempt: 1,
  maxAttempts: 2,
  hostId: "host",
  cancelRequestedAt: null,
  cancelNowAt: null,
  retryOf: null,
  verdict: null,
  submittedAt: start,
  finishedAt: null,
};

const machine: Machine = {
  jobId: job.id,
  attempt: 1,
  hostId: "host",
  backend: "noop",
  state: "running",
  stateSinceAt: start,
  bootstrapTokenHash: "0",
  sessionTokenHash: "1",
  runnerStartedAt: start,
  runnerSeenAt: start,
  runnerFinishedAt: null,
  runnerExitCode: null,
  runnerFailure: null,
  runnerFailureDetail: null,
  logLength: null,
  logSha256: null,
  holdUntilAt: null,
  holdReleasedAt: null,
  holdRefusal: null,
};

interface Changes extends Partial<Omit<LifecycleSnapshot, "job" | "machine">> {
  readonly job?: Partial<Job>;
  readonly machine?: Partial<Machine>;
}

function snapshot(changes: Changes = {}): LifecycleSnapshot {
  return {
    power: "running",
    failedStep: null,
    hostPhase: "serving",
    observedSinceAt: start,
    limits,
    ...changes,
    job: { ...job, ...changes.job },
    machine: { ...machine, ...changes.machine },
  };
}

function reasonOf(changes: Changes, now: number): string {
  const action = decide(snapshot(changes), now);
  assert.equal(action.kind, "apply", `expected a verdict, got ${JSON.stringify(action)}`);
  return (action.kind === "apply" && action.verdict?.reason) || "none";
}

const booting = { state: "booting" } as const;
const finalizing = (reason: VerdictReason, more: Partial<Job> = {}) =>
  ({ ...more, state: "finalizing", verdict: verdict(reason, "x") }) as const;

const holdRequest = parseJobRequest({
  request_id: "0b5f0f63-8d0f-4d3b-9e57-0a3f2a6fd001",
  script: "true",
  hold_on_failure_seconds: 600,
});
const kept = {
  runnerFinishedAt: start,
  runnerExitCode: 3,
  holdUntilAt: start + 600_000,
} as const;

test("a guest on hold is kept until its hold ends, and is then released as usual", () => {
  const held = { job: finalizing("step_failed"), machine: kept } as const;
  assert.deepEqual(decide(snapshot(held), start + 60_000), { kind: "wait", until: start + 75_000 });
  const restarting = snapshot({ ...held, hostPhase: "restarting" });
  assert.equal(
    decide(restarting, start + 60_000).kind,
    "wait",
    "a restart of the host leaves the guest alone",
  );
  const alive = { ...kept, runnerSeenAt: start + 599_000 };
  assert.deepEqual(decide(snapshot({ ...held, machine: alive }), start + 599_999), {
    kind: "wait",
    until: start + 600_000,
  });
  assert.equal(decide(snapshot({ ...held, machine: alive }), start + 600_000).kind, "shutdown");
  const stopping = { ...alive, state: "stopping", stateSinceAt: start + 600_000 } as const;
  assert.equal(decide(snapshot({ ...held, machine: stopping }), start + 630_000).kind, "destroy");
});

test("a hold ends by release or cancellation, when the host shuts down, or when the guest cannot be entered", () => {
  const held = { job: finalizing("step_failed"), machine: kept } as const;
  const at = start + 60_000;
  const ends: [string, Changes, string][] = [
    ["released", { machine: { ...kept, holdReleasedAt: at } }, "shutdown"],
    ["cancelled", { job: finalizing("step_failed", { cancelRequestedAt: at }) }, "shutdown"],
    ["draining", { hostPhase: "draining" }, "shutdown"],
    ["drained", { hostPhase: "drained" }, "shutdown"],
    ["forced", { hostPhase: "forced" }, "destroy"],
    ["off", { power: "stopped" }, "release"],
    ["crashed", { power: "crashed" }, "release"],
    ["paused", { power: "paused" }, "destroy"],
    ["never granted", { machine: { ...kept, holdUntilAt: null } }, "shutdown"],
  ];
  for (const [name, changes, kind] of ends) {
    assert.equal(decide(snapshot({ ...held, ...changes }), at).kind, kind, name);
  }
  // Without a heartbeat the hold ends; after our own restart the runner gets time to call.
  assert.equal(decide(snapshot(held), start + 120_000).kind, "shutdown");
  assert.equal(decide(snapshot({ ...held, observedSinceAt: start + 200_000 }), start + 300_000).kind, "wait");
});

test("the verdict reports a hold that was refused or shortened", () => {
  const messageOf = (machine: Partial<Machine>, more: Partial<Job> = {}) => {
    const action = decide(
      snapshot({ job: { request: holdRequest, ...more }, machine: { ...kept, ...machine } }),
      start,
    );
    return action.kind === "apply" ? (action.verdict?.message ?? "") : "";
  };
  assert.equal(messageOf({}), "A step exited with code 3.");
  assert.match(messageOf({ holdUntilAt: start + 60_000 }), /kept for 60 s, the longest .* \(HOLD_LIMIT\)/);
  assert.match(messageOf({ holdUntilAt: null, holdRefusal: "no_place" }), /was not kept: .*MAX_HOLDS/);
  assert.match(messageOf({ holdUntilAt: null, holdRefusal: "forbidden" }), /was not kept: .*MAX_HOLDS=0/);
  // A job that ran out of time had its verdict before; the note is added when it settles.
  const gone = { state: "gone", holdUntilAt: null, holdRefusal: "no_place" } as const;
  assert.match(messageOf(gone, finalizing("job_timeout")), /^x The guest was not kept/);
});

test("provisioning creates the guest, records that it runs, and gives up at the deadline", () => {
  const provisioning = { state: "provisioning" } as const;
  assert.equal(decide(snapshot({ job: provisioning, power: "absent" }), start).kind, "provision");
  assert.deepEqual(decide(snapshot({ job: provisioning }), start), { kind: "apply", event: "boot" });
  assert.equal(reasonOf({ job: provisioning, power: "stopped" }, start + 300_000), "provision_failed");
  // A guest that runs before this attempt's guest was created belongs to an older attempt, and is replaced.
  const notMade = { job: provisioning, machine: { state: "intended" } } as const;
  assert.equal(decide(snapshot(notMade), start).kind, "provision");
});

test("a booting guest has until the boot deadline; the verdict of a missed deadline quotes its console", () => {
  assert.deepEqual(decide(snapshot({ job: booting }), start), { kind: "wait", until: start + 15_000 });
  assert.equal(decide(snapshot({ job: booting }), start + 299_999).kind, "wait");
  const late = decide(snapshot({ job: booting }), start + 300_000);
  assert.ok(late.kind === "apply" && late.withConsole && late.verdict?.reason === "boot_timeout");
});

test("after a restart a booting guest whose deadline passed unseen may still call", () => {
  const restarted = start + 400_000;
  assert.equal(
    decide(snapshot({ job: booting, observedSinceAt: restarted }), restarted + 119_999).kind,
    "wait",
  );
  assert.equal(reasonOf({ job: booting, observedSinceAt: restarted }, restarted + 120_000), "boot_timeout");
});

test("a guest that stops ends the attempt, with the observed reason", () => {
  for (const state of ["booting", "running"] as const) {
    assert.equal(reasonOf({ job: { state }, power: "stopped" }, start), "guest_stopped");
    assert.equal(reasonOf({ job: { state }, power: "crashed" }, start), "guest_crashed");
    assert.equal(reasonOf({ job: { state }, power: "absent" }, start), "guest_lost");
    assert.equal(reasonOf({ job: { state }, power: "paused" }, start), "guest_stopped");
  }
});

test("a `Finish` that arrived before the guest stopped decides the job", () => {
  const finished = { runnerFinishedAt: start + 5, runnerExitCode: 0 };
  assert.equal(reasonOf({ machine: finished, power: "stopped" }, start + 10), "completed");
  const failed = { runnerFinishedAt: start + 5, runnerExitCode: 3 };
  const action = decide(
    snapshot({ machine: failed, failedStep: { index: 0, name: "test", exitCode: 3, finishedAt: start + 4 } }),
    start + 10,
  );
  assert.ok(action.kind === "apply" && action.verdict?.reason === "step_failed");
  assert.equal(action.verdict.message, 'Step "test" exited with code 3.');
  assert.equal(action.verdict.exitCode, 3);
});

test("a failure reported by the runner has its own reason, whatever the exit code", () => {
  const reported = { runnerFinishedAt: start + 5, runnerExitCode: 128 };
  const reason = (runnerFailure: RunnerFailure) =>
    reasonOf({ machine: { ...reported, runnerFailure } }, start + 10);
  assert.equal(reason("checkout"), "checkout_failed");
  assert.equal(reason("runner_killed"), "runner_lost");
  assert.equal(reason("disk_full"), "runner_lost");
  assert.equal(reason("guest_shutdown"), "guest_stopped");
});

test("a runner without a heartbeat is lost after the limit, counted only while we could receive one", () => {
  assert.equal(decide(snapshot(), start + 119_999).kind, "wait");
  assert.equal(reasonOf({}, start + 120_000), "runner_silent");
  const restarted = { observedSinceAt: start + 500_000 };
  assert.equal(decide(snapshot(restarted), start + 500_001).kind, "wait");
});

test("a job ends at its own time limit, even with heartbeats", () => {
  const alive = { machine: { runnerSeenAt: start + 3_600_000 } };
  assert.equal(decide(snapshot(alive), start + 3_599_999).kind, "wait");
  assert.equal(reasonOf(alive, start + 3_600_000), "job_timeout");
});

test("after a time limit that passed while we received nothing, the runner may report that the job ended in time", () => {
  const back = { observedSinceAt: start + 3_600_001, machine: { runnerSeenAt: start + 3_700_000 } };
  assert.equal(decide(snapshot(back), start + 3_720_000).kind, "wait");
  assert.equal(reasonOf(back, start + 3_720_001), "job_timeout");
  const finished = { ...back, machine: { runnerFinishedAt: start + 3_700_000, runnerExitCode: 0 } };
  assert.equal(reasonOf(finished, start + 3_800_000), "completed");
});

test("a cancellation and a host's shutdown end an attempt in every state before finalizing", () => {
  for (const state of ["provisioning", "booting", "running"] as const) {
    assert.equal(reasonOf({ job: { state, cancelRequestedAt: start } }, start), "cancelled_by_user");
    assert.equal(reasonOf({ job: { state }, hostPhase: "drained" }, start), "host_shutdown");
    assert.deepEqual(
      decide(snapshot({ job: { state }, hostPhase: "restarting" }), start),
      decide(snapshot({ job: { state }, hostPhase: "serving" }), start),
    );
    assert.notEqual(
      decide(snapshot({ job: { state }, hostPhase: "draining" }), start).kind,
      "apply:conclude",
    );
  }
});

test("release: wait for the last output, request shutdown, wait, cut the power, remove, settle", () => {
  const cancelled = finalizing("cancelled_by_user");
  assert.deepEqual(decide(snapshot({ job: cancelled }), start), { kind: "wait", until: start + 10_000 });
  assert.equal(decide(snapshot({ job: cancelled }), start + 10_000).kind, "shutdown");
  const stopping = { state: "stopping", stateSinceAt: start + 10_000 } as const;
  assert.deepEqual(decide(snapshot({ job: cancelled, machine: stopping }), start + 30_000), {
    kind: "wait",
    until: start + 40_000,
  });
  assert.equal(decide(snapshot({ job: cancelled, machine: stopping }), start + 40_000).kind, "destroy");
  assert.equal(
    decide(snapshot({ job: cancelled, machine: stopping, power: "stopped" }), start).kind,
    "release",
  );
  assert.equal(
    decide(snapshot({ job: cancelled, machine: stopping, power: "absent" }), start).kind,
    "release",
  );
  const gone = decide(snapshot({ job: cancelled, machine: { state: "gone" }, power: "absent" }), start);
  assert.ok(gone.kind === "apply" && gone.event === "settle_cancelled");
});

test("a guest that never called, is paused, or is on a forced host is destroyed at once", () => {
  const silent = { runnerStartedAt: null } as const;
  assert.equal(decide(snapshot({ job: finalizing("boot_timeout"), machine: silent }), start).kind, "destroy");
  assert.equal(
    decide(snapshot({ job: finalizing("guest_stopped"), power: "paused" }), start).kind,
    "destroy",
  );
  const forced = snapshot({ job: finalizing("host_shutdown"), hostPhase: "forced" });
  assert.equal(decide(forced, start).kind, "destroy");
});

test("only infrastructure failures are repeated, a cancelled job never, and a stopped host costs no attempt", () => {
  const gone = { state: "gone" } as const;
  const settled = (reason: VerdictReason, more: Partial<Job> = {}) => {
    const action = decide(snapshot({ job: finalizing(reason, more), machine: gone }), start);
    return action.kind === "apply" ? action.event : action.kind;
  };
  assert.equal(settled("guest_lost"), "requeue");
  assert.equal(settled("guest_lost", { attempt: 2 }), "settle_infra_error");
  assert.equal(settled("guest_lost", { cancelRequestedAt: start }), "settle_infra_error");
  assert.equal(settled("host_shutdown", { attempt: 2 }), "requeue");
  for (const reason of ["completed", "step_failed", "job_timeout", "cancelled_by_user"] as const) {
    assert.equal(settled(reason), `settle_${verdictReasons[reason]}`);
  }
});

const anyTime = fc.integer({ min: start - 10_000_000, max: start + 10_000_000 });
const anySnapshot = fc.record({
  state: fc.constantFrom(...activeStates),
  power: fc.constantFrom("absent", "stopped", "running", "paused", "crashed"),
  hostPhase: fc.constantFrom("serving", "restarting", "draining", "drained", "forced"),
  machineState: fc.constantFrom("intended", "created", "running", "stopping", "gone"),
  reason: fc.constantFrom(...(Object.keys(verdictReasons) as VerdictReason[])),
  cancelRequestedAt: fc.option(anyTime),
  runnerStartedAt: fc.option(anyTime),
  runnerFinishedAt: fc.option(anyTime),
  times: fc.array(anyTime, { minLength: 4, maxLength: 4 }),
  attempt: fc.integer({ min: 1, max: 3 }),
});

test("for any snapshot the event is legal, a wait has a limit, and time alone always leads on", () => {
  fc.assert(
    fc.property(anySnapshot, anyTime, (any, now) => {
      const [stateSinceAt = 0, machineSinceAt = 0, runnerSeenAt = 0, observedSinceAt = 0] = any.times;
      const observed = snapshot({
        power: any.power,
        hostPhase: any.hostPhase,
        observedSinceAt,
        job: {
          state: any.state,
          stateSinceAt,
          attempt: any.attempt,
          cancelRequestedAt: any.cancelRequestedAt,
          verdict: any.state === "finalizing" ? verdict(any.reason, "x") : null,
        },
        machine: {
          state: any.machineState,
          stateSinceAt: machineSinceAt,
          runnerSeenAt,
          runnerStartedAt: any.runnerStartedAt,
          runnerFinishedAt: any.runnerFinishedAt,
        },
      });
      const action = decide(observed, now);
      if (action.kind === "apply") assert.notEqual(transition(any.state, action.event), "refuse");
      if (action.kind === "wait") assert.ok(action.until > now && action.until <= now + limits.pollMs);
      // No snapshot waits forever: far enough in the future, an action other than waiting is due.
      assert.notEqual(decide(observed, start + 100_000_000).kind, "wait");
    }),
    { numRuns: 2000 },
  );
});

test("for an attempt of a lost host, the runner's Finish counts first, then a cancellation, then the loss", () => {
  const reasonOf = (changes: Changes) => verdictOfLostHost(snapshot(changes)).reason;
  const finished = { runnerFinishedAt: start + 5, runnerExitCode: 0 };
  assert.equal(reasonOf({ machine: finished, job: { cancelRequestedAt: start } }), "completed");
  assert.equal(reasonOf({ machine: { ...finished, runnerExitCode: 3 } }), "step_failed");
  assert.equal(reasonOf({ job: { cancelRequestedAt: start } }), "cancelled_by_user");
  assert.equal(reasonOf({}), "host_lost");
});

test("missing artifacts decide a job whose steps succeeded, and only such a job", () => {
  const reported = {
    runnerStartedAt: start,
    runnerFinishedAt: start + 5,
    runnerFailureDetail: "no file matches 'dist'",
  };
  const ended = (machine: Partial<Machine>) => {
    const action = decide(
      snapshot({ job: { state: "running" }, machine: { ...reported, ...machine } }),
      start + 10,
    );
    return action.kind === "apply" ? [action.verdict?.reason, action.verdict?.message] : [action.kind];
  };
  const sentence = "Every step succeeded, but no file matches 'dist'.";
  assert.deepEqual(ended({ runnerExitCode: 0, runnerFailure: "artifact_missing" }), [
    "artifact_missing",
    sentence,
  ]);
  assert.deepEqual(ended({ runnerExitCode: 0, runnerFailure: "artifact_refused" }), [
    "artifact_refused",
    sentence,
  ]);
  assert.deepEqual(ended({ runnerExitCode: 0, runnerFailure: "artifact_upload" }), [
    "artifact_upload_failed",
    sentence,
  ]);
  assert.deepEqual(ended({ runnerExitCode: 0 }), [
    "completed",
    "Every step succeeded. But no file matches 'dist'.",
  ]);
  assert.deepEqual(ended({ runnerExitCode: 3, runnerFailure: "artifact_missing" })[0], "step_failed");
});
