import assert from "node:assert/strict";

/**
 * Largest allowed ratio of costs for twice the input: a linear function costs 2 times as much, a quadratic one 4
 * times.
 */
const ratioMax = 2.5;

/**
 * Shortest cost that is judged, in ms: shorter times are dominated by the compiler and the garbage collector, and
 * some kernels count a thread's time in ticks of 4 ms.
 */
const shortestMs = 40;

/**
 * Largest number of pairs of measurements. The shortest time of each size counts: longer times include other work of
 * the machine.
 */
const pairsMax = 3;

/**
 * A function that is too slow is too slow at each size. One size may only be the point where the processor's cache or
 * the heap becomes too small.
 */
const doublingsMax = 2;

/** A function with its worst known input. */
export interface HostileInput<Input> {
  /** Returns the worst input of about this many characters (or bytes, or items). */
  readonly make: (size: number) => Input;
  readonly run: (input: Input) => unknown;
  /** The cost of one run in ms; the processor's time unless given. */
  readonly measure?: (work: () => unknown) => number;
  /** Largest size that is tried, doubled sizes included: several times the limit of the product; 1 Mi by default. */
  readonly largest?: number;
}

/**
 * Asserts that twice the input costs at most {@link ratioMax} times as much. The size is chosen large enough to be
 * measured. When even the largest input costs too little, the function passes: a quadratic function would cost
 * seconds there.
 */
export function assertLinear<Input>(input: HostileInput<Input>): void {
  const { make, run, measure = processorMs, largest = 2 ** 20 } = input;
  const costOf = (made: Input) => measure(() => run(made));
  let size = 1024;
  while (2 * size <= largest && costOf(make(size)) < shortestMs) size *= 2;
  const failures: string[] = [];
  for (; (2 * size <= largest || failures.length > 0) && failures.length < doublingsMax; size *= 2) {
    const [one, two] = bestCosts(costOf, make(size), make(2 * size));
    if (two <= ratioMax * one) return;
    // The compiler made the function faster since the size was chosen.
    if (one < shortestMs) continue;
    failures.push(`${size} took ${one.toFixed(1)} ms, twice as much took ${two.toFixed(1)} ms`);
  }
  assert.equal(failures.length, 0, `more than ${ratioMax} times as long: ${failures.join("; ")}`);
}

function bestCosts<Input>(costOf: (input: Input) => number, small: Input, large: Input): [number, number] {
  let [one, two] = [Infinity, Infinity];
  for (let pairs = 1; pairs <= pairsMax; pairs += 1) {
    one = Math.min(one, costOf(small));
    two = Math.min(two, costOf(large));
    if (pairs > 1 && two <= ratioMax * one) break;
  }
  return [one, two];
}

/** Processor time of some work, in ms, without the time of other processes. */
export function processorMs(work: () => unknown): number {
  const begun = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(begun);
  return (user + system) / 1000;
}
