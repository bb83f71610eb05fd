import type { JobWake, Store } from "./store.ts";

/** Turns the store's wakes into something that a loop can wait for. Wakes between two calls of `next` count as one. */
export interface WakeListener extends Disposable {
  /** Resolves at the next (or an uncollected) wake, or after `timeoutMs`; rejects with the reason of `signal`. */
  next(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
}

/**
 * Listens to the wakes that `matches` selects, and to wakes for all. Start listening before reading the data, or a
 * change in between is missed.
 */
export function listenForWakes(store: Store, matches: (wake: JobWake) => boolean): WakeListener {
  let woken = false;
  let resume: () => void = () => {};
  const unsubscribe = store.subscribe((wake) => {
    if (wake.kind !== "all" && !matches(wake)) return;
    woken = true;
    resume();
  });
  return {
    [Symbol.dispose]: unsubscribe,
    async next({ timeoutMs, signal }) {
      signal.throwIfAborted();
      if (!woken) await untilResumed({ timeoutMs, signal, register: (callback) => (resume = callback) });
      woken = false;
      signal.throwIfAborted();
    },
  };
}

function untilResumed(options: {
  timeoutMs: number;
  signal: AbortSignal;
  register: (callback: () => void) => void;
}): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, options.timeoutMs);
    options.signal.addEventListener("abort", done, { once: true });
    options.register(done);
  });
}
