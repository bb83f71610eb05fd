import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "./backoff.ts";

test("a pause doubles from the first to the longest, however many failures there were", () => {
  const backoff = { firstMs: 250, maxMs: 1500 };
  const pauses = [1, 2, 3, 4, 5, 5000].map((failures) => backoffMs(failures, backoff));
  assert.deepEqual(pauses, [250, 500, 1000, 1500, 1500, 1500]);
});

test("without a failure yet it is the first pause", () => {
  assert.equal(backoffMs(0, { firstMs: 250, maxMs: 1500 }), 250);
});
