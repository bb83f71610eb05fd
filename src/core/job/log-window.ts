/** Bytes of a log that are not kept: from `from` (inclusive) to `to` (exclusive). */
export interface DroppedRange {
  readonly from: number;
  readonly to: number;
}

/** The kept bytes of a log: everything received except one range in its middle, or all of it. */
export interface LogWindow {
  readonly received: number;
  readonly dropped: DroppedRange | null;
}

/**
 * Number of bytes dropped beyond the necessary ones, so that a tail that arrives in tiny pieces is not cut for each of
 * them.
 */
const dropStepBytes = 64 * 1024;

/** Length of the head of a log that exceeds `limitBytes`. */
export function headBytes(limitBytes: number): number {
  return Math.floor(limitBytes / 2);
}

/**
 * The bytes to drop so that a log can grow to `end` within `limitBytes`: its head, half of the limit, stays for good,
 * its tail moves along, and the bytes between are dropped. Null when everything fits. A byte is dropped once, and about
 * as many are dropped as arrive, so the work stays in proportion to what is written.
 */
export function rangeToDrop(log: LogWindow, end: number, limitBytes: number): DroppedRange | null {
  const tail = Math.ceil(limitBytes / 2);
  if (log.dropped === null ? end <= limitBytes : end - log.dropped.to <= tail) return null;
  const slack = Math.min(dropStepBytes, Math.floor(tail / 8));
  return { from: log.dropped?.from ?? headBytes(limitBytes), to: end - tail + slack };
}
