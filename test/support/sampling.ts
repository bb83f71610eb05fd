import { randomInt } from "node:crypto";
import { createRandom } from "./random.ts";

/** True in `npm run test:all`: every case runs, and {@link sample} returns all of them. */
export const isExhaustive = process.env.SOLSTICE_TEST_EXHAUSTIVE === "1";

/** The seed of this run: `SOLSTICE_TEST_SEED`, which the test runner prints and passes on, or a new seed. */
export const testSeed = Number(process.env.SOLSTICE_TEST_SEED ?? randomInt(2 ** 31));

/** Options of a costly property test: `few` runs from the seed of the test run, or `many` in an exhaustive run. */
export function propertyRuns(few: number, many: number): { readonly seed: number; readonly numRuns: number } {
  return { seed: testSeed, numRuns: isExhaustive ? many : few };
}

/**
 * Chooses `count` of `items`, in their order. The choice follows from the run's seed and from `purpose` alone, so that a failed
 * run can be repeated, and runs with other seeds cover the rest. In an exhaustive run all items are chosen.
 */
export function sample<Item>(purpose: string, items: readonly Item[], count: number): readonly Item[] {
  return isExhaustive ? items : sampleBySeed(testSeed, { purpose, items, count });
}

/** The choice of {@link sample} for a given seed. */
export function sampleBySeed<Item>(
  seed: number,
  { purpose, items, count }: { purpose: string; items: readonly Item[]; count: number },
): readonly Item[] {
  const places = items.map((_, place) => place);
  const chosen = new Set(createRandom(seed).fork(purpose).shuffle(places).slice(0, count));
  return items.filter((_, place) => chosen.has(place));
}
