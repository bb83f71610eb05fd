import type { Job } from "../../core/job/job.ts";
import { ByteSearch } from "../../core/secrets/byte-search.ts";
import { fragmentsOfAll } from "../../core/secrets/fragments.ts";
import type { Masker } from "../../core/secrets/masker.ts";

/** Attempts whose secrets are kept at a time; what is forgotten is made again from the operator's file. */
const attemptsMax = 2000;

/** Searches kept beyond the attempts that use them: jobs of one project ask for the same secrets. */
const searchesMax = 8;

/** The masking of an output under way. */
export interface OutputMask {
  readonly masker: Masker;
  /** How many bytes of the output were taken, those held back included. */
  position: number;
  /** The last bytes that were stored, as they came: what the log's digest has to be given again. */
  lastRaw: Uint8Array;
}

/** What is masked in the logs of one attempt. */
export interface AttemptMask {
  readonly search: ByteSearch;
  /** Null until output comes, and after anything went wrong: then it begins again from what is stored. */
  output: OutputMask | null;
}

interface Known {
  readonly values: Set<string>;
  mask: AttemptMask | null;
}

/**
 * Knows for each attempt under way which values must not show in its logs. In memory only. It grows with the attempts,
 * never with what a guest does.
 */
export class AttemptMasks {
  readonly #valuesOf: (job: Job) => readonly string[];
  readonly #attempts = new Map<string, Known>();
  readonly #searches = new Map<string, ByteSearch>();

  /** `valuesOf` tells the values of an attempt that this process did not start itself. */
  constructor(valuesOf: (job: Job) => readonly string[]) {
    this.#valuesOf = valuesOf;
  }

  /** Notes what an attempt was given, beside what it was given before. */
  give(job: Job, values: readonly string[]): void {
    const known = this.#know(job);
    const before = known.values.size;
    for (const value of values) known.values.add(value);
    if (known.values.size > before) known.mask = null;
  }

  /** What is masked in the logs of a job's attempt; null when nothing is. */
  of(job: Job): AttemptMask | null {
    const known = this.#know(job);
    if (known.values.size === 0) return null;
    known.mask ??= { search: this.#searchFor([...known.values]), output: null };
    return known.mask;
  }

  /** Forgets an attempt, and returns what it was masked with. */
  forget(job: Job): AttemptMask | null {
    const key = keyOf(job);
    const mask = this.#attempts.get(key)?.mask ?? null;
    this.#attempts.delete(key);
    return mask;
  }

  #know(job: Job): Known {
    const key = keyOf(job);
    const known = this.#attempts.get(key) ?? { values: new Set(this.#valuesOf(job)), mask: null };
    keepNewest(this.#attempts, [key, known], attemptsMax);
    return known;
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
