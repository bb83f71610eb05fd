import type { Job } from "../../core/job/job.ts";
import { ByteSearch } from "../../core/secrets/byte-search.ts";
import { fragmentsOfAll } from "../../core/secrets/fragments.ts";
import type { MaskedStream } from "./masked-stream.ts";

/**
 * Maximum number of attempts whose secrets are in memory; those of others are read again from the operator's
 * file.
 */
const attemptsMax = 2000;

/**
 * Number of searches cached in addition to those of the attempts: jobs of one project use the same secrets.
 */
const searchesMax = 8;

/** The masking of one attempt's logs. */
export interface AttemptMask {
  readonly search: ByteSearch;
  /** Null before the first output and after an error: masking then restarts from the stored log. */
  output: MaskedStream | null;
}

interface MaskedAttempt {
  readonly values: Set<string>;
  mask: AttemptMask | null;
}

/**
 * The values to mask in the logs of each running attempt. In memory only. The memory grows with the number of
 * attempts, independent of the behaviour of guests.
 */
export class AttemptMasks {
  readonly #valuesOf: (job: Job) => readonly string[];
  readonly #attempts = new Map<string, MaskedAttempt>();
  readonly #searches = new Map<string, ByteSearch>();

  /** `valuesOf` returns the values of an attempt that another process started. */
  constructor(valuesOf: (job: Job) => readonly string[]) {
    this.#valuesOf = valuesOf;
  }

  /** Adds values to mask in the logs of an attempt. */
  give(job: Job, values: readonly string[]): void {
    const attempt = this.#findOrCreate(job);
    const before = attempt.values.size;
    for (const value of values) attempt.values.add(value);
    if (attempt.values.size > before) attempt.mask = null;
  }

  /** The masking of an attempt's logs; null when nothing is masked. */
  of(job: Job): AttemptMask | null {
    const attempt = this.#findOrCreate(job);
    if (attempt.values.size === 0) return null;
    attempt.mask ??= { search: this.#searchFor([...attempt.values]), output: null };
    return attempt.mask;
  }

  /** Removes an attempt whose guest is gone: nothing of it is stored any more. */
  forget(job: Job): void {
    this.#attempts.delete(keyOf(job));
  }

  #findOrCreate(job: Job): MaskedAttempt {
    const key = keyOf(job);
    const attempt = this.#attempts.get(key) ?? { values: new Set(this.#valuesOf(job)), mask: null };
    keepNewest(this.#attempts, [key, attempt], attemptsMax);
    return attempt;
  }

  #searchFor(values: readonly string[]): ByteSearch {
    const key = JSON.stringify(values.toSorted());
    const search = this.#searches.get(key) ?? new ByteSearch(fragmentsOfAll(values));
    keepNewest(this.#searches, [key, search], searchesMax);
    return search;
  }
}

function keyOf({ id, attempt }: Job): string {
  return `${id} ${attempt}`;
}

function keepNewest<Value>(map: Map<string, Value>, [key, value]: [string, Value], max: number): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > max && !oldest.done) map.delete(oldest.value);
}
