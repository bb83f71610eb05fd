import assert from "node:assert/strict";
import { test } from "node:test";
import { median, percentile } from "./statistics.ts";

test("percentiles are values that occurred, by the nearest rank", () => {
  const values = [30, 10, 20, 40];
  assert.equal(median(values), 20);
  assert.equal(percentile(values, 0.99), 40);
  assert.equal(percentile(values, 0), 10);
  assert.throws(() => percentile([], 0.5), RangeError);
});
