/**
 * Outcome of a save: `saved`; `exists`, an entry with this key existed already; `read_only`, a pull request from a fork
 * never writes; `no_room`, a limit leaves no room.
 */
export const saveOutcomes = ["saved", "exists", "read_only", "no_room"] as const;

/** One of {@link saveOutcomes}. */
export type SaveOutcome = (typeof saveOutcomes)[number];
