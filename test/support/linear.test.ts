import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLinear } from "./linear.ts";

test("a quadratic pattern is found, and a linear one is not", () => {
  const make = (size: number) => `${"/".repeat(size)}a`;
  assert.throws(
    () => assertLinear({ make, run: (text) => text.replace(/\/+$/, ""), largest: 2 ** 15 }),
    /more than 2.5 times as long: .* ms; /,
  );
  assertLinear({ make, run: (text) => text.replace(/\/+/, "") });
});

test("a function that costs nothing is not judged", () => {
  assertLinear({ make: (size) => size, run: (size) => size * size });
});
