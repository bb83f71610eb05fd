import { SolsticeError } from "../../core/errors.ts";

/** Bounds of a {@link KeyedQueue}. */
export interface KeyedQueueLimits {
  /** Calls of one key that may wait or run at a time. */
  readonly perKey: number;
  /** Calls of all keys that may wait or run at a time. */
  readonly total: number;
}

/**
 * Runs the tasks of one key one after the other, and those of different keys side by side. More than the limits allow
 * is refused with `limit_exceeded` instead of being kept.
 */
export class KeyedQueue {
  readonly #limits: KeyedQueueLimits;
  readonly #tails = new Map<string, { pending: number; last: Promise<unknown> }>();
  #pending = 0;

  constructor(limits: KeyedQueueLimits) {
    this.#limits = limits;
  }

  /** Runs `task` when those before it under `key` have ended, however they ended. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const tail = this.#tails.get(key) ?? { pending: 0, last: Promise.resolve() };
    if (tail.pending >= this.#limits.perKey || this.#pending >= this.#limits.total) {
      throw new SolsticeError(
        "limit_exceeded",
        "Too many calls at once; call again when one has been answered.",
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
