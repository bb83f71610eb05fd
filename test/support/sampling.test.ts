import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { sampleBySeed } from "./sampling.ts";

const items = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const choose = (seed: number, purpose = "kills") => sampleBySeed(seed, { purpose, items, count: 3 });

test("a sample follows from the seed and its purpose, and is in order", () => {
  const first = choose(7);
  assert.equal(first.length, 3);
  assert.deepEqual(first, first.toSorted());
  assert.deepEqual(choose(7), first);
  assert.notDeepEqual(choose(7, "shells"), first);
  assert.deepEqual(sampleBySeed(7, { purpose: "kills", items, count: 20 }), items);
});

test("consecutive seeds cover every item", () => {
  const seeds = Array.from({ length: 12 }, (_, seed) => seed);
  assert.equal(new Set(seeds.flatMap((seed) => choose(seed))).size, items.length);
});

/** The choice of a process with the given environment. */
function chosenIn(environment: Record<string, string>): unknown {
  const module = JSON.stringify(new URL("sampling.ts", import.meta.url).href);
  const script = `import { sample } from ${module};
    console.log(JSON.stringify(sample("kills", ${JSON.stringify(items)}, 3)));`;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script];
  return JSON.parse(execFileSync(process.execPath, args, { env: environment, encoding: "utf8" }));
}

test("the seed and the extent of a run come from its environment", () => {
  assert.deepEqual(chosenIn({ SOLSTICE_TEST_SEED: "7" }), choose(7));
  assert.deepEqual(chosenIn({ SOLSTICE_TEST_SEED: "7", SOLSTICE_TEST_EXHAUSTIVE: "1" }), items);
});
