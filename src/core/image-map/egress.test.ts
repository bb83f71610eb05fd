import assert from "node:assert/strict";
import { test } from "node:test";
import { egressKey, normaliseRanges } from "./egress.ts";

test("equal policies have equal keys, in any order and notation of their lists", () => {
  const one = normaliseRanges(["10.2.0.0/16", "10.1.2.3", "10.2.3.0/24", "10.1.2.3/32"]);
  assert.deepEqual(one, ["10.1.2.3", "10.2.0.0/16"]);
  assert.equal(egressKey(one), egressKey(normaliseRanges(["10.1.2.3", "10.2.0.0/16"])));
  assert.notEqual(egressKey(one), egressKey("open"));
});

test("a text that is not a range is a programmer's error: configuration was validated before", () => {
  assert.throws(() => normaliseRanges(["10.0.0.1/8"]), TypeError);
});
