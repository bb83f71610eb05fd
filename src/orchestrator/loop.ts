import { backoffMs } from "../core/backoff.ts";
import { errorText, isSolsticeError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { isStoreAway } from "./store-away.ts";

/** The pause after the first failure of one loop, in ms. */
const firstBackoffMs = 500;

/** The longest pause after repeated failures of one loop, in ms. */
const maxBackoffMs = 30_000;

/** The same while the store is away, in ms: a try costs nothing then, and every job waits for the first that succeeds. */
const maxStoreBackoffMs = 2_000;

/** A running loop. */
export interface Loop {
  /** Runs the loop's body again as soon as its present round is over; many wakes are one round. */
  wake(): void;
  /** Ends the loop after its present round. */
  stop(): Promise<void>;
  /** Resolves when the body said `done`, or after `stop`. */
  readonly ended: Promise<void>;
}

/** What a loop does, round after round. */
export interface LoopOptions {
  /** For log lines. */
  readonly name: string;
  /**
   * One round. Returns how long to pause in ms unless woken, or `done`. It re-reads the truth each time. A round that looks
   * more than once calls `looking` before each look: what woke the loop until then needs no round of its own.
   */
  run(looking: () => void): Promise<number | "done">;
  /** Errors that others tell already, such as a store that is away: there may be many loops like this one. */
  readonly isToldElsewhere?: (error: unknown) => boolean;
  readonly log: Log;
}

/**
 * Starts a loop that runs its body, pauses, and runs it again. A failed round is repeated with a growing pause, so that a
 * store or hypervisor that is away for a while costs nothing but time. It is logged when it begins to fail, when it fails in
 * another way, and when it works again.
 */
export function startLoop(options: LoopOptions): Loop {
  let stopped = false;
  let woken = false;
  let resume: (() => void) | null = null;
  let failures = 0;
  /** The kind of failure that was logged last; null once that is over. */
  let reported: string | null = null;

  const wake = () => {
    woken = true;
    resume?.();
  };

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(finish, Math.max(0, ms));
      function finish() {
        clearTimeout(timer);
        resume = null;
        resolve();
      }
      resume = finish;
      if (woken || stopped) finish();
    });

  const looking = () => {
    woken = false;
  };

  const report = (error: unknown, pauseMs: number) => {
    const kind = isSolsticeError(error) ? error.code : errorText(error);
    const isNews = kind !== reported && options.isToldElsewhere?.(error) !== true;
    if (isNews) reported = kind;
    options.log[isNews ? "warn" : "debug"](
      { err: error, loop: options.name, failures, pauseMs },
      "a round failed and will be repeated",
    );
  };

  const round = async (): Promise<number | "done"> => {
    try {
      const next = await options.run(looking);
      if (reported !== null) options.log.info({ loop: options.name, failures }, "the rounds succeed again");
      reported = null;
      failures = 0;
      return next;
    } catch (error) {
      failures += 1;
      const longestMs = isStoreAway(error) ? maxStoreBackoffMs : maxBackoffMs;
      const pauseMs = backoffMs(failures, { firstMs: firstBackoffMs, maxMs: longestMs });
      report(error, pauseMs);
      return pauseMs;
    }
  };

  const ended = (async () => {
    while (!stopped) {
      woken = false;
      const next = await round();
      if (next === "done") return;
      // After a failure a wake-up does not cut the pause short: a busy queue would turn it into a hot loop.
      if (failures > 0) woken = false;
      await pause(next);
    }
  })();

  return {
    wake,
    stop() {
      stopped = true;
      resume?.();
      return ended;
    },
    ended,
  };
}
