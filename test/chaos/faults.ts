import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../support/random.ts";

/** A fault that can be caused and repaired. */
export interface Fault {
  /** The name in reports, such as `kill -9 the database`. */
  readonly name: string;
  /** Minimum and maximum duration, in ms. {@link until} delays the end until the effect has occurred. */
  readonly awayMs: readonly [min: number, max: number];
  begin(): Promise<void>;
  /** Resolves when the intended effect has occurred. */
  readonly until?: () => Promise<void>;
  /** Repairs the fault; resolves when the repaired part works. */
  end(): Promise<void>;
}

/** The options of {@link causeFaults}. */
export interface FaultOptions {
  readonly random: Random;
  /** Length of the pause between two faults, in ms. */
  readonly calmMs: readonly [min: number, max: number];
  /** Aborted at the earliest end of the run: each fault comes at least once. */
  readonly enough: AbortSignal;
  /** Aborted when something else has failed: repair everything and stop at once. */
  readonly failed: AbortSignal;
  readonly report: (text: string) => void;
}

/**
 * Causes one fault after the other, all of them in an order that the seed chooses, then all again in another order,
 * until `enough` is aborted. The seed also chooses moments and durations. Each fault comes at least once, and
 * everything is repaired when the promise resolves. Returns the count of each fault.
 */
export async function causeFaults(
  faults: readonly Fault[],
  options: FaultOptions,
): Promise<Map<string, number>> {
  const { random, calmMs, enough, failed } = options;
  const counts = new Map<string, number>();
  for (let round = 0; ; round += 1) {
    const stop = round === 0 ? failed : AbortSignal.any([enough, failed]);
    for (const fault of random.shuffle(faults)) {
      const calm = random.integer(...calmMs);
      const away = random.integer(...fault.awayMs);
      await delay(calm, undefined, { signal: stop }).catch(() => {});
      if (stop.aborted) return counts;
      await cause(fault, away, options.report);
      counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1);
    }
  }
}

async function cause(fault: Fault, awayMs: number, report: (text: string) => void): Promise<void> {
  report(`${fault.name}, for ${awayMs} ms`);
  await fault.begin();
  try {
    await delay(awayMs);
    await fault.until?.();
  } finally {
    await fault.end();
  }
  report(`over: ${fault.name}`);
}
