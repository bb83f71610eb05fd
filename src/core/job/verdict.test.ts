import assert from "node:assert/strict";
import { test } from "node:test";
import { finalStates } from "./job-state.ts";
import { deservesRetry, type VerdictReason, verdict, verdictReasons } from "./verdict.ts";

const reasons = Object.keys(verdictReasons) as VerdictReason[];

test("a verdict's state follows from its reason, and every final state has one", () => {
  for (const reason of reasons) assert.equal(verdict(reason, "Ended.").state, verdictReasons[reason]);
  assert.deepEqual(new Set(Object.values(verdictReasons)), new Set(finalStates));
  const given = verdict("step_failed", "Step build exited with 3.", 3);
  assert.deepEqual(given, {
    state: "failed",
    reason: "step_failed",
    message: "Step build exited with 3.",
    exitCode: 3,
  });
  assert.equal(verdict("cancelled_by_user", "Cancelled.").exitCode, null);
});

test("only infrastructure failures are repeated", () => {
  const repeated = reasons.filter((reason) => deservesRetry(verdict(reason, "Ended."), 1, 2));
  const infrastructure = reasons.filter((reason) => verdictReasons[reason] === "infra_error");
  assert.deepEqual(
    repeated,
    infrastructure.filter((reason) => reason !== "image_unavailable"),
  );
});

test("attempts have a limit, except after the stop or the full disk of a host", () => {
  const lost = verdict("guest_lost", "The guest vanished.");
  assert.deepEqual(
    [1, 2, 3].map((attempt) => deservesRetry(lost, attempt, 3)),
    [true, true, false],
  );
  assert.equal(deservesRetry(verdict("host_shutdown", "Stopped."), 3, 3), true);
  assert.equal(deservesRetry(verdict("host_disk_full", "No space."), 3, 3), true);
});
