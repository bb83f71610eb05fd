/** Bytes of a log that are not kept: from `from` (inclusive) to `to` (exclusive). */
export interface DroppedRange {
  readonly from: number;
  readonly to: number;
}

/** What of a log is there: everything received but one range in its middle, or all of it. */
export interface LogWindow {
  readonly received: number;
  readonly dropped: DroppedRange | null;
}

/** How much more than it must goes at a time, in bytes: so that a tail in tiny pieces is not cut with each of them. */
const dropStepBytes = 64 * 1024;

/** Where the head of a log ends once it exceeds `limitBytes`. */
export function headBytes(limitBytes: number): number {
  return Math.floor(limitBytes / 2);
}

/**
 * Which bytes must go for a log to grow to `end` within `limitBytes`: its head, half of the limit, stays for good, its
 * tail moves along, and what lies between is dropped. Null where everything fits. A byte is dropped once, and about as
 * many go as come, so the work stays in proportion to what is written.
 */
export function rangeToDrop(log: LogWindow, end: number, limitBytes: number): DroppedRange | null {
  const tail = Math.ceil(limitBytes / 2);
  if (log.dropped === null ? end <= limitBytes : end - log.dropped.to <= tail) return null;
  const slack = Math.min(dropStepBytes, Math.floor(tail / 8));
  return { from: log.dropped?.from ?? headBytes(limitBytes), to: end - tail + slack };
}
