import assert from "node:assert/strict";

/** Twice the input may cost at most this many times as much: a linear function costs 2 times, a quadratic one 4 times. */
const ratioMax = 2.5;

/**
 * What is judged takes at least so long, in ms: shorter times are those of the compiler and of the garbage collector, and some
 * kernels count a thread's time in ticks of 4 ms.
 */
const shortestMs = 40;

/** Pairs of measurements at most. The shortest time of each size counts: everything else is the machine's. */
const pairsMax = 3;

/** What is too slow is so at each size: one where the processor's cache or the heap begins to be too small says nothing. */
const doublingsMax = 2;

/** A function with the worst input that is known for it. */
export interface HostileInput<Input> {
  /** The worst input of about this many characters (or bytes, or items). */
  readonly make: (size: number) => Input;
  readonly run: (input: Input) => unknown;
  /** The cost of one run in ms; the processor's time unless given. */
  readonly measure?: (work: () => unknown) => number;
  /** No input is larger, twice as large included: several times what the product lets in; 1 Mi unless given. */
  readonly largest?: number;
}

/**
 * Asserts that twice the input costs at most {@link ratioMax} times as much. The size is chosen so that it costs enough to be
 * measured; where even the largest input does not, there is nothing to judge: a quadratic function costs seconds there.
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
    // The compiler made it faster since the size was chosen.
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

/** How much of the processor's time some work takes, in ms: other processes of the machine do not count. */
export function processorMs(work: () => unknown): number {
  const begun = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(begun);
  return (user + system) / 1000;
}
