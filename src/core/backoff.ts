/** How the pauses between attempts grow, in ms. */
export interface Backoff {
  /** The pause after the first failure. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/** The pause in ms after so many failures in a row (from 1): it doubles with each, up to `maxMs`. Jitter is the caller's. */
export function backoffMs(failures: number, { firstMs, maxMs }: Backoff): number {
  return Math.min(maxMs, firstMs * 2 ** (Math.max(1, failures) - 1));
}
