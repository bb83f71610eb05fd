import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLinear, processorMs } from "./linear.ts";

const make = (size: number) => size;

/** Asserts linear cost of a simulated function that takes `costOf(size)` ms without real waiting. */
function assertLinearCost(costOf: (size: number) => number): void {
  let cost = 0;
  const run = (size: number) => {
    cost = costOf(size);
  };
  const measure = (work: () => unknown) => {
    work();
    return cost;
  };
  assertLinear({ make, run, measure });
}

/** Runs a number of steps. */
function step(count: number): number {
  let sum = 0;
  for (let done = 0; done < count; done += 1) sum += done & 3;
  return sum;
}

test("a quadratic function is found, and a linear one is not", () => {
  assert.throws(
    () => assertLinearCost((size) => (size / 10_000) ** 2),
    /more than 2.5 times as long: 65536 took 42.9 ms, twice as much took 171.8 ms; 131072 took /,
  );
  assertLinearCost((size) => size / 1000);
});

test("one slow measurement of three, or a bad ratio at one size only, is the machine's", () => {
  let runs = 0;
  assertLinearCost((size) => size / 1000 + (runs++ % 3 === 0 ? 1000 : 0));
  assertLinearCost((size) => (size === 2 ** 17 ? 1000 : size / 1000));
});

test("a function that costs nothing passes without a judgement", () => {
  assertLinearCost((size) => (size / 1_000_000) ** 2);
});

test("the processor's time is measured, and no other time", () => {
  assertLinear({ make, run: (size) => step(size * 64) });
  assert.ok(processorMs(() => step(100_000_000)) > 20);
  const sleep = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  assert.ok(processorMs(sleep) < 100);
});
