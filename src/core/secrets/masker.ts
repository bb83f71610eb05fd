import { type ByteSearch, searchStart } from "./byte-search.ts";
import { fragmentLimits } from "./fragments.ts";

/** Bytes whose masking is decided: as received, and as they may be shown. Both have the same length. */
export interface MaskedBytes {
  readonly raw: Uint8Array;
  readonly masked: Uint8Array;
}

const star = 0x2a;

/**
 * Masks the occurrences of patterns in a stream of bytes: each byte of an occurrence becomes `*`, so that offsets stay
 * correct. The outcome does not depend on how the stream is cut into pieces: the end of the received bytes is held back
 * while it may be the beginning of an occurrence, which is never more than the longest pattern.
 */
export class Masker {
  readonly #search: ByteSearch;
  #state = searchStart;
  #heldRaw: Uint8Array = new Uint8Array();
  #heldMasked: Uint8Array = new Uint8Array();

  constructor(search: ByteSearch) {
    this.#search = search;
  }

  /** Number of bytes held back. */
  get heldBytes(): number {
    return this.#heldRaw.length;
  }

  /** Receives the next bytes, and returns all bytes that are decided now. */
  feed(bytes: Uint8Array): MaskedBytes {
    const raw = join(this.#heldRaw, bytes);
    const masked = join(this.#heldMasked, bytes);
    this.#mark(masked, this.#heldRaw.length);
    const decided = raw.length - (this.#search.undecided[this.#state] ?? 0);
    // Copies, so that a small held end does not keep a large piece in memory.
    this.#heldRaw = raw.slice(decided);
    this.#heldMasked = masked.slice(decided);
    return { raw: raw.subarray(0, decided), masked: masked.subarray(0, decided) };
  }

  /** Ends the stream and returns the bytes held back. A longer beginning of a secret that was cut off is masked too. */
  finish(): MaskedBytes {
    const [raw, masked] = [this.#heldRaw, this.#heldMasked];
    if (raw.length >= fragmentLimits.valueBytesMin) masked.fill(star);
    this.#heldRaw = new Uint8Array();
    this.#heldMasked = new Uint8Array();
    this.#state = searchStart;
    return { raw, masked };
  }

  /** Goes through the bytes from `start` on, then back, so that overlapping occurrences cost no more than one. */
  #mark(bytes: Uint8Array, start: number): void {
    const search = this.#search;
    const ends = new Int32Array(bytes.length - start);
    let state = this.#state;
    for (let at = start; at < bytes.length; at++) {
      state = search.next(state, bytes[at] ?? 0);
      ends[at - start] = search.matched[state] ?? 0;
    }
    this.#state = state;
    let toMask = 0;
    for (let at = bytes.length - 1; at >= 0 && (at >= start || toMask > 0); at--) {
      if (at >= start) toMask = Math.max(toMask, ends[at - start] ?? 0);
      if (toMask > 0) {
        bytes[at] = star;
        toMask -= 1;
      }
    }
  }
}

function join(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
