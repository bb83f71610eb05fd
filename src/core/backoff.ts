/** Shortest and longest pause between attempts, in ms. */
export interface Backoff {
  /** The pause after the first failure. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/** The pause in ms after `failures` failures in a row (from 1): doubles with each, up to `maxMs`. Callers add jitter. */
export function backoffMs(failures: number, { firstMs, maxMs }: Backoff): number {
  return Math.min(maxMs, firstMs * 2 ** (Math.max(1, failures) - 1));
}
