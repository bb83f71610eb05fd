import { setTimeout as delay } from "node:timers/promises";

/** How often a condition is looked at that nothing announces, in ms. */
const lookEveryMs = 50;

/** How long a condition is waited for unless its test says otherwise, in seconds. */
const patienceSeconds = 120;

/**
 * Looks again and again until `look` gives something other than null or false, and resolves with it. Throws after
 * `timeoutSeconds`, with what was waited for. What `look` throws, it throws.
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
