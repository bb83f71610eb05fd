import { backoffMs } from "../core/backoff.ts";
import { errorText, isSolsticeError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { isStoreAway } from "./store-away.ts";

/** The pause after the first failure of one loop, in ms. */
const firstBackoffMs = 500;

/** The maximum pause after repeated failures of one loop, in ms. */
const maxBackoffMs = 30_000;

/**
 * The maximum pause while the store is unavailable, in ms: a retry is then cheap, and every job waits for the
 * first success.
 */
const maxStoreBackoffMs = 2_000;

/** A running loop. */
export interface Loop {
  /** Runs the loop's body again after the current round; many wakes make one round. */
  wake(): void;
  /** Ends the loop after the current round. */
  stop(): Promise<void>;
  /** Resolves when the body has returned `done`, or after `stop`. */
  readonly ended: Promise<void>;
}

/** The options of a loop. */
export interface LoopOptions {
  /** The name in log lines. */
  readonly name: string;
  /**
   * Runs one round, which reads the current state. Returns the pause in ms, which a wake shortens, or `done`.
   * A round that reads the state several times calls `reading` before each read: wakes until then need no
   * further round.
   */
  run(reading: () => void): Promise<number | "done">;
  /**
   * Errors already logged elsewhere, such as an unavailable store; they are not logged again for each loop.
   */
  readonly isLoggedElsewhere?: (error: unknown) => boolean;
  readonly log: Log;
}

/**
 * Starts a loop that runs its body, pauses, and runs it again. A failed round is retried with backoff, so
 * that a temporary failure of the store or hypervisor costs only time. The log has a line for the first
 * failure, for each other failure, and for the recovery.
 */
export function startLoop(options: LoopOptions): Loop {
  let stopped = false;
  let woken = false;
  let resume: (() => void) | null = null;
  let failures = 0;
  /** The kind of failure that was logged last; null after a success. */
  let logged: string | null = null;

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

  const reading = () => {
    woken = false;
  };

  const report = (error: unknown, pauseMs: number) => {
    const kind = isSolsticeError(error) ? error.code : errorText(error);
    const isNews = kind !== logged && options.isLoggedElsewhere?.(error) !== true;
    if (isNews) logged = kind;
    options.log[isNews ? "warn" : "debug"](
      { err: error, loop: options.name, failures, pauseMs },
      "round failed, retrying",
    );
  };

  const round = async (): Promise<number | "done"> => {
    try {
      const next = await options.run(reading);
      if (logged !== null) options.log.info({ loop: options.name, failures }, "rounds succeed again");
      logged = null;
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
      // After a failure a wake does not shorten the pause: with a busy queue that would make a hot loop.
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
