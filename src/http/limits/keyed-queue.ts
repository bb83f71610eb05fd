import { SolsticeError } from "../../core/errors.ts";

/** The limits of a {@link KeyedQueue}. */
export interface KeyedQueueLimits {
  /** Calls of one key that may wait or run at the same time. */
  readonly perKey: number;
  /** Calls of all keys that may wait or run at the same time. */
  readonly total: number;
}

/**
 * Runs the tasks of one key one after the other, and the tasks of different keys concurrently. Calls beyond
 * the limits are refused with `limit_exceeded`.
 */
export class KeyedQueue {
  readonly #limits: KeyedQueueLimits;
  readonly #tails = new Map<string, { pending: number; last: Promise<unknown> }>();
  #pending = 0;

  constructor(limits: KeyedQueueLimits) {
    this.#limits = limits;
  }

  /** Runs `task` after all earlier tasks of `key` have ended, with or without an error. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const tail = this.#tails.get(key) ?? { pending: 0, last: Promise.resolve() };
    if (tail.pending >= this.#limits.perKey || this.#pending >= this.#limits.total) {
      throw new SolsticeError(
        "limit_exceeded",
        "Too many concurrent calls. Retry when an earlier call has returned.",
      );
    }
    tail.pending += 1;
    this.#pending += 1;
    this.#tails.set(key, tail);
    const result = tail.last.then(task, task);
    tail.last = result.catch(() => {});
    try {
      return await result;
    } finally {
      tail.pending -= 1;
      this.#pending -= 1;
      if (tail.pending === 0) this.#tails.delete(key);
    }
  }
}
