import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffSeconds } from "./backoff.ts";

test("the wait doubles from 0.1 s, and never exceeds 10 s", () => {
  const longest = (attempt: number) => backoffSeconds(attempt, () => 1 - Number.EPSILON);
  assert.ok(Math.abs(longest(0) - 0.1) < 1e-9);
  assert.ok(Math.abs(longest(3) - 0.8) < 1e-9);
  for (const attempt of [7, 20, 5000]) assert.ok(longest(attempt) <= 10);
});

test("jitter is at most half of the wait", () => {
  assert.equal(
    backoffSeconds(0, () => 0),
    0.05,
  );
  assert.equal(
    backoffSeconds(50, () => 0),
    5,
  );
});
