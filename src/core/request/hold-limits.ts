/** The longest hold that a request or an operator may set, in seconds. */
export const longestHoldSeconds = 7 * 24 * 3600;

/** Largest number of guests of one host that may be on hold. */
export const mostHolds = 64;

/** Reasons why a requested hold was refused. */
export const holdRefusals = ["forbidden", "no_place", "too_late"] as const;

/**
 * One of {@link holdRefusals}: the operator allows no holds, every place is taken, or the guest is already being
 * removed.
 */
export type HoldRefusal = (typeof holdRefusals)[number];
