/** Numbers that follow from a seed alone, so that a run can be repeated. Not for secrets. */
export interface Random {
  /** A number of at least 0 and below 1. */
  next(): number;
  /** A whole number, both bounds included. */
  integer(min: number, max: number): number;
  /** One item of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /** The list in another order. */
  shuffle<T>(list: readonly T[]): T[];
  /** A UUID (version 4 in form). */
  uuid(): string;
  /** A separate source for one purpose: numbers drawn from other sources do not change its own. */
  fork(purpose: string): Random;
}

/** The generator mulberry32: 32 bits of state, good enough to choose moments. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    integer,
    pick: (list) => {
      const [first] = list;
      if (first === undefined) throw new TypeError("There is nothing to pick from.");
      return list[integer(0, list.length - 1)] ?? first;
    },
    shuffle: (list) =>
      list
        .map((value) => ({ value, place: next() }))
        .sort((a, b) => a.place - b.place)
        .map(({ value }) => value),
    uuid: () => uuidOf(() => integer(0, 15)),
    // Computed in 32 bits: as a float, a long purpose would overflow into zeros with any seed.
    fork: (purpose) =>
      createRandom([...purpose].reduce((sum, char) => Math.imul(sum, 31) + char.charCodeAt(0), seed)),
  };
}

function uuidOf(digit: () => number): string {
  const digits = "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx";
  return digits.replace(/x/g, () => digit().toString(16));
}
