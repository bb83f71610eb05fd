import { setTimeout as delay } from "node:timers/promises";

/** Interval between two checks of a condition that has no event, in ms. */
const lookEveryMs = 50;

/** Default time limit for a condition, in seconds. */
const patienceSeconds = 120;

/**
 * Calls `look` repeatedly until it returns a value other than null or false, and resolves with that value. Throws
 * after `timeoutSeconds`, with the description of the condition. Errors of `look` pass through.
 */
export async function until<Value>(
  what: string,
  look: () => Value | null | false | Promise<Value | null | false>,
  timeoutSeconds = patienceSeconds,
): Promise<Value> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== null && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutSeconds} s in vain: ${what}`);
    await delay(lookEveryMs);
  }
}
