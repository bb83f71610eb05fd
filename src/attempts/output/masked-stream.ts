import type { ByteSearch } from "../../core/secrets/byte-search.ts";
import { type MaskedBytes, Masker } from "../../core/secrets/masker.ts";
import { digestBoundary } from "../../store/logs/logs.ts";

/** Bytes for `appendLog`. When a log is masked, the store keeps `kept` in place of `data`. */
export interface LogPart {
  readonly offset: number;
  readonly data: Uint8Array;
  readonly kept?: Uint8Array;
}

/**
 * Masks the secrets in a log of a job before the log is stored. Only this class and {@link createTextMask} apply a masker;
 * all output of a job, and its console, pass through one of the two.
 */
export class MaskedStream {
  readonly #masker: Masker | null;
  #position: number;
  /** The last bytes of the previous part, before masking: the log's digest needs them again. */
  #lastRaw: Uint8Array = new Uint8Array();

  /**
   * Continues a log of which the store has `received` bytes. The stream begins early enough to include every secret that ends
   * in bytes not yet stored. `search` is null for a job without secrets.
   */
  constructor(search: ByteSearch | null, received: number) {
    this.#masker = search === null ? null : new Masker(search);
    this.#position = search === null ? received : digestBoundary(Math.max(0, received - search.longest));
  }

  /** The offset of the next byte to take: the number of bytes accepted, including held bytes. */
  get position(): number {
    return this.#position;
  }

  /** Accepts the next bytes, and returns those that can be stored now, or null. The possible beginning of a secret is held. */
  take(data: Uint8Array): LogPart | null {
    const offset = this.#position;
    this.#position += data.length;
    if (this.#masker === null) return { offset, data };
    return this.#partOf(this.#masker.feed(data));
  }

  /** Ends the log, and returns the held bytes, or null. */
  finish(): LogPart | null {
    return this.#masker === null ? null : this.#partOf(this.#masker.finish());
  }

  #partOf({ raw, masked }: MaskedBytes): LogPart | null {
    if (raw.length === 0) return null;
    const end = this.#position - (this.#masker?.heldBytes ?? 0);
    const data = Buffer.concat([this.#lastRaw, raw]);
    // The bytes of `lastRaw` are already stored in masked form, so zeros replace them here.
    const kept = Buffer.concat([Buffer.alloc(this.#lastRaw.length), masked]);
    this.#lastRaw = Uint8Array.from(data.subarray(data.length - (end - digestBoundary(end))));
    return { offset: end - data.length, data, kept };
  }
}

/** Masks a text that is read from its beginning, for display without storing it. */
export interface TextMask {
  /** Accepts the next bytes, and returns those that can be shown now. */
  take(bytes: Uint8Array): Uint8Array;
  /** Ends the text, and returns the held bytes. */
  finish(): Uint8Array;
}

/** Creates the mask of one text. `search` is null for a job without secrets. */
export function createTextMask(search: ByteSearch | null): TextMask {
  if (search === null) return { take: (bytes) => bytes, finish: () => new Uint8Array() };
  const masker = new Masker(search);
  return { take: (bytes) => masker.feed(bytes).masked, finish: () => masker.finish().masked };
}

/** Masks a short text that is complete. */
export function maskWhole(search: ByteSearch | null, bytes: Uint8Array): Uint8Array {
  const mask = createTextMask(search);
  return Buffer.concat([mask.take(bytes), mask.finish()]);
}
