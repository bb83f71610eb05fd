import assert from "node:assert/strict";
import { test } from "node:test";
import { createRandom } from "../support/random.ts";
import { causeFaults, type Fault } from "./faults.ts";

function fault(name: string, events: string[]): Fault {
  return {
    name,
    awayMs: [0, 1],
    begin: async () => void events.push(`${name} begins`),
    until: async () => void events.push(`${name} has an effect`),
    end: async () => void events.push(`${name} ends`),
  };
}

const options = { calmMs: [0, 1] as const, report: () => {}, failed: new AbortController().signal };

test("each fault comes once, even when the end was requested before", async () => {
  const events: string[] = [];
  const faults = ["one", "two", "three"].map((name) => fault(name, events));
  const counts = await causeFaults(faults, {
    ...options,
    random: createRandom(1),
    enough: AbortSignal.abort(),
  });
  assert.deepEqual([...counts].toSorted(), [
    ["one", 1],
    ["three", 1],
    ["two", 1],
  ]);
  for (const name of ["one", "two", "three"]) {
    const begun = events.indexOf(`${name} begins`);
    assert.deepEqual(events.slice(begun, begun + 3), [
      `${name} begins`,
      `${name} has an effect`,
      `${name} ends`,
    ]);
  }
});

test("a fault without effect is repaired as well, and is an error", async () => {
  const events: string[] = [];
  const useless = {
    ...fault("one", events),
    until: () => Promise.reject(new Error("the fault had no effect")),
  };
  const causing = causeFaults([useless], {
    ...options,
    random: createRandom(1),
    enough: AbortSignal.abort(),
  });
  await assert.rejects(causing, /the fault had no effect/);
  assert.deepEqual(events, ["one begins", "one ends"]);
});

test("when something else has failed, no further fault begins", async () => {
  const events: string[] = [];
  const counts = await causeFaults([fault("one", events)], {
    ...options,
    random: createRandom(1),
    enough: new AbortController().signal,
    failed: AbortSignal.abort(),
  });
  assert.deepEqual([counts.size, events], [0, []]);
});
