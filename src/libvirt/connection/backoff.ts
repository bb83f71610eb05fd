const FIRST_DELAY_SECONDS = 0.1;
const MAX_DELAY_SECONDS = 10;

/**
 * Seconds to wait before attempt number `attempt` (from 0) to reconnect: doubling from 0.1 to 10, of which a random
 * half to whole is taken, so that the clients of a restarted daemon do not return all at once. `random` is in [0, 1).
 */
export function backoffSeconds(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** attempt);
  return ceiling * (0.5 + random() / 2);
}
