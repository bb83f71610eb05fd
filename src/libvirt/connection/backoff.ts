const FIRST_DELAY_SECONDS = 0.1;
const MAX_DELAY_SECONDS = 10;

/**
 * The backoff of this library, which imports nothing of the project around it (`src/core/backoff.ts` is that one's).
 *
 * Seconds to wait before reconnection attempt number `attempt` (from 0): an exponential backoff from 0.1 to 10, times a
 * random factor between a half and 1, so that the clients of a restarted daemon do not return all at once. `random`
 * returns a number in [0, 1).
 */
export function backoffSeconds(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** attempt);
  return ceiling * (0.5 + random() / 2);
}
