import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "./backoff.ts";

test("the pause doubles with each failure up to the longest one", () => {
  const backoff = { firstMs: 250, maxMs: 1500 };
  const pauses = [1, 2, 3, 4, 5, 5000].map((failures) => backoffMs(failures, backoff));
  assert.deepEqual(pauses, [250, 500, 1000, 1500, 1500, 1500]);
});

test("without a failure the pause is the first one", () => {
  assert.equal(backoffMs(0, { firstMs: 250, maxMs: 1500 }), 250);
});
