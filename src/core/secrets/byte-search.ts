/**
 * Maximum number of bytes that all patterns of one search may have together: more would overflow the numbering of its
 * states.
 */
export const searchBytesMax = 4 * 1024 * 1024;

/** The state before the first byte. */
export const searchStart = 0;

/**
 * Searches for many byte strings at once, one byte at a time (Aho and Corasick, 1975): a state stands for the longest
 * end of the bytes so far that is the beginning of a pattern. Takes time linear in the text, independent of the number
 * of patterns, and memory linear in their length: transitions are kept in one hash table instead of 256 for each state.
 */
export class ByteSearch {
  /** Length of the longest pattern. */
  readonly longest: number;
  /** For each state, the length of the longest pattern that ends here; 0 if no pattern ends here. */
  readonly matched: Int32Array;
  /** For each state, the number of preceding bytes that may still become a pattern. */
  readonly undecided: Int32Array;
  readonly #keys: Int32Array;
  readonly #targets: Int32Array;
  readonly #shift: number;
  readonly #root = new Int32Array(256);
  readonly #fallback: Int32Array;
  #states = 1;

  /** Throws a `RangeError` for more than {@link searchBytesMax}. Empty patterns are left out. */
  constructor(patterns: readonly Uint8Array[]) {
    const total = patterns.reduce((sum, pattern) => sum + pattern.length, 0);
    if (total > searchBytesMax) throw new RangeError(`${total} bytes of patterns are too many.`);
    const bits = Math.max(4, Math.ceil(Math.log2(2 * (total + 1))));
    this.#shift = 32 - bits;
    this.#keys = new Int32Array(2 ** bits).fill(-1);
    this.#targets = new Int32Array(2 ** bits);
    this.matched = new Int32Array(total + 1);
    this.undecided = new Int32Array(total + 1);
    this.#fallback = new Int32Array(total + 1);
    this.longest = patterns.reduce((longest, pattern) => Math.max(longest, pattern.length), 0);
    const depths = patterns.map((pattern) => this.#insert(pattern));
    this.#link(patterns, depths);
  }

  /** The state after one more byte. */
  next(state: number, byte: number): number {
    for (let from = state; from !== searchStart; from = this.#fallback[from] ?? 0) {
      const target = this.#find(from, byte);
      if (target !== 0) return target;
    }
    return this.#root[byte] ?? 0;
  }

  /** Adds a pattern's states, and returns them by depth. */
  #insert(pattern: Uint8Array): Int32Array {
    const path = new Int32Array(pattern.length);
    let state = searchStart;
    for (const [at, byte] of pattern.entries()) {
      let target = state === searchStart ? (this.#root[byte] ?? 0) : this.#find(state, byte);
      if (target === 0) {
        target = this.#states++;
        if (state === searchStart) this.#root[byte] = target;
        else this.#add(state, byte, target);
      }
      // A state with a child is the beginning of a pattern.
      this.undecided[state] = at;
      state = target;
      path[at] = state;
    }
    if (state !== searchStart) this.matched[state] = pattern.length;
    return path;
  }

  /** Goes level by level, so that the fallback state, which is nearer to the root, is complete already. */
  #link(patterns: readonly Uint8Array[], paths: readonly Int32Array[]): void {
    const isDone = new Uint8Array(this.#states);
    for (let depth = 0; depth < this.longest; depth++) {
      for (const [index, pattern] of patterns.entries()) {
        const state = paths[index]?.[depth] ?? 0;
        if (depth >= pattern.length || isDone[state]) continue;
        isDone[state] = 1;
        const before = depth === 0 ? searchStart : (paths[index]?.[depth - 1] ?? 0);
        const back = depth === 0 ? 0 : this.next(this.#fallback[before] ?? 0, pattern[depth] ?? 0);
        this.#fallback[state] = back;
        this.matched[state] ||= this.matched[back] ?? 0;
        this.undecided[state] ||= this.undecided[back] ?? 0;
      }
    }
  }

  #find(state: number, byte: number): number {
    const key = state * 256 + byte;
    const mask = this.#keys.length - 1;
    for (let slot = this.#slot(key); ; slot = (slot + 1) & mask) {
      const found = this.#keys[slot];
      if (found === key) return this.#targets[slot] ?? 0;
      if (found === -1) return 0;
    }
  }

  #add(state: number, byte: number, target: number): void {
    const key = state * 256 + byte;
    const mask = this.#keys.length - 1;
    let slot = this.#slot(key);
    while (this.#keys[slot] !== -1) slot = (slot + 1) & mask;
    this.#keys[slot] = key;
    this.#targets[slot] = target;
  }

  #slot(key: number): number {
    return Math.imul(key, 0x9e3779b1) >>> this.#shift;
  }
}
