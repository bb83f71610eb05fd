/** Time limits of always steps after a failure, a cancellation or the job's time limit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseJobRequest } from "../request/job-request.ts";
import type { Job, Machine } from "./job.ts";
import { decide, type FailedStep, type LifecycleSnapshot, skipsCleanup } from "./lifecycle.ts";
import { type VerdictReason, verdict } from "./verdict.ts";

const start = 1_000_000_000;
const flush = 10_000;
const cleanup = 60_000;
const limits = {
  bootTimeoutMs: 300_000,
  stopTimeoutMs: 30_000,
  silenceTimeoutMs: 120_000,
  flushGraceMs: flush,
  cleanupTimeoutMs: cleanup,
  powerOffGraceMs: 8_000,
  pollMs: 10_000_000,
};
const steps = [
  { name: "test", run: "make test", timeout_seconds: 30 },
  { name: "collect", run: "./collect", always: true },
];

function jobOf(given: Partial<Job>, withAlways: boolean): Job {
  const request = parseJobRequest({
    request_id: "0b5f0f63-8d0f-4d3b-9e57-0a3f2a6fd001",
    repo_url: "https://git.example.org/a/b.git",
    commit_sha: "a".repeat(40),
    steps: withAlways ? steps : steps.slice(0, 1),
  });
  const fixed = {
    id: "abcd1234",
    request,
    image: "tiny",
    label: "tiny",
    size: { cpu: 1, ramMb: 1, diskGb: 1 },
  };
  const counted = {
    fairKey: "",
    priority: 0,
    timeoutSeconds: 3600,
    attempt: 1,
    maxAttempts: 2,
    hostId: "host",
  };
  const times = { stateSinceAt: start, submittedAt: start, finishedAt: null };
  const open = { cancelRequestedAt: null, cancelNowAt: null, retryOf: null, verdict: null };
  return { ...fixed, ...counted, ...times, ...open, state: "running", ...given };
}

const machine: Machine = {
  ...{
    jobId: "abcd1234",
    attempt: 1,
    hostId: "host",
    backend: "noop",
    state: "running",
    stateSinceAt: start,
  },
  ...{ bootstrapTokenHash: "0", sessionTokenHash: "1", runnerStartedAt: start, runnerFinishedAt: null },
  ...{
    runnerExitCode: null,
    runnerFailure: null,
    runnerFailureDetail: null,
    logLength: null,
    logSha256: null,
    holdUntilAt: null,
    holdReleasedAt: null,
    holdRefusal: null,
  },
  runnerSeenAt: Number.MAX_SAFE_INTEGER / 2,
};

interface Given extends Partial<Omit<LifecycleSnapshot, "job" | "machine">> {
  readonly job?: Partial<Job>;
  readonly machine?: Partial<Machine>;
  readonly withAlways?: boolean;
}

function snapshot({ withAlways = true, ...given }: Given): LifecycleSnapshot {
  const base = {
    power: "running",
    failedStep: null,
    hostPhase: "serving",
    observedSinceAt: start,
    limits,
  } as const;
  return {
    ...base,
    ...given,
    job: jobOf(given.job ?? {}, withAlways),
    machine: { ...machine, ...given.machine },
  };
}

/** Time for which a finalizing job with that reason waits for its runner, in ms. */
function waitMs(reason: VerdictReason, given: Given = {}): number {
  const job = { ...given.job, state: "finalizing", verdict: verdict(reason, "x") } as const;
  const action = decide(snapshot({ ...given, job }), start);
  return action.kind === "wait" ? action.until - start : 0;
}

test("a job with always steps gets time for clean-up when it is cancelled or out of time, and only then", () => {
  for (const reason of ["cancelled_by_user", "job_timeout"] as const) {
    assert.equal(waitMs(reason), flush + cleanup);
    assert.equal(waitMs(reason, { withAlways: false }), flush);
    assert.equal(waitMs(reason, { job: { cancelNowAt: start + 5 } }), flush + 5);
    assert.equal(waitMs(reason, { hostPhase: "drained" }), flush);
    assert.equal(waitMs(reason, { hostPhase: "draining" }), flush + cleanup);
  }
  assert.equal(waitMs("host_shutdown"), flush);
  assert.equal(waitMs("runner_silent"), 0);
});

const failed: FailedStep = { index: 1, name: "test", exitCode: 3, finishedAt: start + 3_599_000 };

test("after a failed step the clean-up gets its whole time, and the failure stays the verdict", () => {
  const deadline = start + 3_599_000 + cleanup + flush;
  assert.deepEqual(decide(snapshot({ failedStep: failed }), start + 3_600_000), {
    kind: "wait",
    until: deadline,
  });
  const action = decide(snapshot({ failedStep: failed }), deadline);
  assert.ok(action.kind === "apply" && action.verdict);
  assert.deepEqual([action.verdict.reason, action.verdict.exitCode], ["step_failed", 3]);
  assert.match(
    action.verdict.message,
    /^Step "test" exited with code 3\. Its clean-up exceeded the time limit\.$/,
  );
  const cancelled = { failedStep: failed, job: { cancelRequestedAt: start } };
  const ended = decide(snapshot(cancelled), start + 3_600_000);
  assert.ok(ended.kind === "apply" && ended.verdict?.reason === "cancelled_by_user");
});

test("the verdict of a step timeout names the step and its limit, not counting the checkout", () => {
  const reported = {
    runnerFinishedAt: start + 40_000,
    runnerExitCode: 124,
    runnerFailure: "step_timeout",
  } as const;
  const action = decide(
    snapshot({ machine: reported, failedStep: { ...failed, exitCode: 124 } }),
    start + 41_000,
  );
  assert.ok(action.kind === "apply" && action.verdict);
  assert.deepEqual([action.verdict.state, action.verdict.reason], ["timed_out", "step_timeout"]);
  assert.equal(action.verdict.message, 'Step "test" ran longer than its limit of 30 s.');
  assert.equal(action.verdict.exitCode, 124);
});

test("the runner skips the clean-up when the orchestrator does not wait for it", () => {
  const finalizing = (reason: VerdictReason) =>
    jobOf({ state: "finalizing", verdict: verdict(reason, "x") }, true);
  assert.equal(skipsCleanup(jobOf({ cancelRequestedAt: start }, true)), false);
  assert.equal(skipsCleanup(jobOf({ cancelRequestedAt: start, cancelNowAt: start }, true)), true);
  assert.equal(skipsCleanup(finalizing("cancelled_by_user")), false);
  assert.equal(skipsCleanup(finalizing("job_timeout")), false);
  for (const reason of ["host_shutdown", "step_failed", "runner_silent"] as const)
    assert.equal(skipsCleanup(finalizing(reason)), true, reason);
});

test("with any times, a job with always steps ends by time alone", () => {
  const at = fc.integer({ min: start - 1_000_000, max: start + 10_000_000 });
  const any = fc.record({ finishedAt: fc.option(at), cancelNowAt: fc.option(at), cancelled: fc.boolean() });
  fc.assert(
    fc.property(any, at, at, ({ finishedAt, cancelNowAt, cancelled }, stateSinceAt, observedSinceAt) => {
      const finalizing = { state: "finalizing", verdict: verdict("cancelled_by_user", "x") } as const;
      const job = { stateSinceAt, cancelNowAt, ...(cancelled && finalizing) };
      const observed = snapshot({ job, observedSinceAt, failedStep: { ...failed, finishedAt } });
      assert.notEqual(decide(observed, start + 100_000_000).kind, "wait");
    }),
  );
});
