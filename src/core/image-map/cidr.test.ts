import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { distinctRanges, isWithin, parseRange, rangeAround, rangeText } from "./cidr.ts";

test("ranges and single addresses are parsed", () => {
  assert.deepEqual(parseRange("10.0.0.0/8"), { first: 0x0a000000, prefix: 8 });
  assert.deepEqual(parseRange("192.168.7.9"), { first: 0xc0a80709, prefix: 32 });
  assert.deepEqual(parseRange("0.0.0.0/0"), { first: 0, prefix: 0 });
});

test("anything else is refused", () => {
  const wrong = [
    "",
    "10",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.0/33",
    "10.0.0.1/8",
    "::1",
    "10.0.0.0/",
    " 10.0.0.0",
    "a.b.c.d",
  ];
  for (const text of wrong) assert.equal(parseRange(text), null, text);
});

const ranges = fc
  .tuple(fc.nat({ max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 32 }))
  .map(([address, prefix]) => ({ first: address - (address % 2 ** (32 - prefix)), prefix }));

test("a formatted range is parsed to the same range", () => {
  fc.assert(fc.property(ranges, (range) => assert.deepEqual(parseRange(rangeText(range)), range)));
});

test("distinct ranges contain every given range, and do not contain each other", () => {
  fc.assert(
    fc.property(fc.array(ranges), (given) => {
      const kept = distinctRanges(given);
      for (const range of given) assert.ok(kept.some((wider) => isWithin(range, wider)));
      for (const one of kept) assert.equal(kept.filter((other) => isWithin(one, other)).length, 1);
    }),
  );
});

test("the network around an address", () => {
  const around = rangeAround("192.168.122.1", 24);
  assert.equal(around && rangeText(around), "192.168.122.0/24");
  assert.equal(rangeAround("192.168.122.1", 33), null);
  assert.equal(rangeAround("nowhere", 24), null);
});
