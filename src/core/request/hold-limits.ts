/** The longest hold that a request may ask for, and an operator allow, in seconds. */
export const longestHoldSeconds = 7 * 24 * 3600;

/** The most guests of one host that may be on hold. */
export const mostHolds = 64;

/** Why a guest that was to be kept is not. */
export const holdRefusals = ["forbidden", "no_place", "too_late"] as const;

/** One of {@link holdRefusals}: the operator allows no holds, every place is taken, the guest is on its way out. */
export type HoldRefusal = (typeof holdRefusals)[number];
