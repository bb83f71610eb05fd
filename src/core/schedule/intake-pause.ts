import type { HostPhase } from "../job/lifecycle.ts";

/**
 * Reason why a host leaves requests in the broker: it shuts down, an operator drains it, its store is unavailable, or
 * the limit of waiting jobs is reached.
 */
export type IntakePause = "going_down" | "draining" | "store_away" | "full";

/** Input of {@link decideIntake}. */
export interface IntakeSnapshot {
  readonly phase: HostPhase;
  /** True while an operator drains the host. */
  readonly draining: boolean;
  /** Number of waiting jobs; null when the store does not answer. */
  readonly waiting: number | null;
  readonly limit: number;
  /** Reason of the current pause; null while the host takes requests. */
  readonly held: IntakePause | null;
}

/**
 * Share of the limit below which a full store takes requests again, so that the intake does not open and close for each
 * job.
 */
const reopenShare = 0.9;

/** Decides whether a host takes requests from the broker now: null, or the reason for a pause. */
export function decideIntake(snapshot: IntakeSnapshot): IntakePause | null {
  const { phase, draining, waiting, limit, held } = snapshot;
  if (phase !== "serving") return "going_down";
  if (draining) return "draining";
  if (waiting === null) return "store_away";
  // After an outage the store may be full as well.
  const isFull = held === "full" ? waiting > Math.floor(limit * reopenShare) : waiting >= limit;
  return isFull ? "full" : null;
}
