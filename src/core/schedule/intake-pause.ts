import type { HostPhase } from "../job/lifecycle.ts";

/** Why a host leaves requests in the broker: it goes down, an operator drains it, its store is away, or as many jobs wait as may. */
export type IntakePause = "going_down" | "draining" | "store_away" | "full";

/** What {@link decideIntake} looks at. */
export interface IntakeSnapshot {
  readonly phase: HostPhase;
  /** Whether an operator drains the host. */
  readonly draining: boolean;
  /** How many jobs wait; null when the store does not say. */
  readonly waiting: number | null;
  readonly limit: number;
  /** What holds it now; null while it takes requests. */
  readonly held: IntakePause | null;
}

/** Of the limit: a full store takes requests again below this, so that it does not open and close for each job. */
const reopenShare = 0.9;

/** Whether a host takes requests from the broker now (null), or what holds it back. */
export function decideIntake(snapshot: IntakeSnapshot): IntakePause | null {
  const { phase, draining, waiting, limit, held } = snapshot;
  if (phase !== "serving") return "going_down";
  if (draining) return "draining";
  if (waiting === null) return "store_away";
  // After an outage the store may be full as well.
  const isFull = held === "full" ? waiting > Math.floor(limit * reopenShare) : waiting >= limit;
  return isFull ? "full" : null;
}
