import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLinear } from "./linear.ts";

const make = (size: number) => size;

/** Takes a number of steps. */
function step(count: number): number {
  let sum = 0;
  for (let done = 0; done < count; done += 1) sum += done & 3;
  return sum;
}

test("a quadratic function is found, and a linear one is not", () => {
  assert.throws(
    () => assertLinear({ make, run: (size) => step((size * size) / 48) }),
    /more than 2.5 times as long: .* ms; /,
  );
  assertLinear({ make, run: (size) => step(size * 64) });
});

test("a function that costs nothing is not judged", () => {
  assertLinear({ make, run: (size) => size * size });
});
