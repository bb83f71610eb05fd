import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../support/random.ts";

/** A way in which something breaks. */
export interface Fault {
  /** For people, such as `kill -9 the database`. */
  readonly name: string;
  /** How long it lasts, in ms; what must happen before it may end is waited for by `until`. */
  readonly awayMs: readonly [min: number, max: number];
  begin(): Promise<void>;
  /** Resolves when what the fault is for has come about. */
  readonly until?: () => Promise<void>;
  /** Makes it whole again; resolves when it works. */
  end(): Promise<void>;
}

/** What {@link causeFaults} needs. */
export interface FaultOptions {
  readonly random: Random;
  /** How long nothing is broken between two faults, in ms. */
  readonly calmMs: readonly [min: number, max: number];
  /** When to stop, at the earliest: each fault comes at least once. */
  readonly enough: AbortSignal;
  /** When to stop at once, with nothing broken: something else has failed. */
  readonly failed: AbortSignal;
  readonly report: (text: string) => void;
}

/**
 * Causes one fault after the other: all of them in an order that the seed chooses, then all again in another one, until
 * `enough`, at moments and for times that the seed chooses too. Each comes at least once, whatever that says, and
 * nothing is broken when it resolves. Returns how often each came.
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
