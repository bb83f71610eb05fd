import type { HoldRefusal } from "../request/hold-limits.ts";
import type { Job, Machine, RunnerFailure } from "./job.ts";

/** The fields of a machine record about a hold. */
export type HoldFacts = Pick<Machine, "holdUntilAt" | "holdReleasedAt" | "holdRefusal">;

/** An operator's limits for the holds of a host. */
export interface HoldPolicy {
  /** Number of guests that may be on hold in addition to the slots. */
  readonly maxHolds: number;
  /** The longest hold, in seconds. */
  readonly holdLimitSeconds: number;
}

/** The end of an attempt as its runner reports it. */
export interface ReportedEnd {
  readonly exitCode: number;
  readonly failure: RunnerFailure | null;
}

/** The decision about a hold; `none` when no hold was requested, or the end of the attempt does not qualify. */
export type HoldAnswer =
  | { readonly kind: "none" }
  | { readonly kind: "granted"; readonly seconds: number }
  | { readonly kind: "refused"; readonly refusal: HoldRefusal };

/**
 * Decides whether the guest of an attempt that has just ended is put on hold. Only a failure of the job itself
 * qualifies, and only while its runner, which opens the shells, is alive: not a success, a cancelled job or an
 * infrastructure failure. `onHold` is the number of guests of the host that are on hold already.
 */
export function decideHold(
  attempt: { readonly job: Job; readonly machine: Machine; readonly end: ReportedEnd },
  policy: HoldPolicy & { readonly onHold: number },
): HoldAnswer {
  const { job, machine, end } = attempt;
  const requested = job.request.hold_on_failure_seconds;
  if (requested === undefined || !isOwnFailure(job, end)) return { kind: "none" };
  if (policy.maxHolds === 0) return { kind: "refused", refusal: "forbidden" };
  if (machine.state === "stopping" || machine.state === "gone")
    return { kind: "refused", refusal: "too_late" };
  if (policy.onHold >= policy.maxHolds) return { kind: "refused", refusal: "no_place" };
  return { kind: "granted", seconds: Math.min(requested, policy.holdLimitSeconds) };
}

/** Failures without a deciding exit code that are still the job's own. */
const ownFailures: readonly RunnerFailure[] = [
  "checkout",
  "step_timeout",
  "artifact_missing",
  "artifact_refused",
];

function isOwnFailure(job: Job, { exitCode, failure }: ReportedEnd): boolean {
  if (job.cancelRequestedAt !== null) return false;
  if (failure !== null && !ownFailures.includes(failure)) return false;
  if (job.state === "finalizing") return job.verdict?.reason === "job_timeout";
  return exitCode !== 0 || failure !== null;
}

/**
 * Time at which an attempt's hold ends by itself (ms since the epoch). Null when the attempt has no hold or its hold
 * has ended: a person released the guest, the job was cancelled, or the time is over.
 */
export function holdEndsAt(
  job: Pick<Job, "state" | "cancelRequestedAt">,
  { holdUntilAt, holdReleasedAt }: HoldFacts,
  now: number,
): number | null {
  if (holdUntilAt === null || holdReleasedAt !== null || now >= holdUntilAt) return null;
  // The hold is granted shortly before the job's state changes from `running`.
  const isKept = job.state === "finalizing" || job.state === "running";
  return isKept && job.cancelRequestedAt === null ? holdUntilAt : null;
}

/**
 * A sentence about the hold for a verdict's message; empty when no hold was requested, or the whole time was granted.
 */
export function holdNote(job: Job, machine: Machine): string {
  const { holdUntilAt, holdRefusal, runnerFinishedAt } = machine;
  if (holdRefusal !== null) return ` The guest was not kept: ${holdRefusalText(holdRefusal)}.`;
  const requested = job.request.hold_on_failure_seconds;
  if (holdUntilAt === null || runnerFinishedAt === null || requested === undefined) return "";
  const seconds = Math.round((holdUntilAt - runnerFinishedAt) / 1000);
  return seconds < requested
    ? ` The guest is kept for ${seconds} s, the longest that this host allows (HOLD_LIMIT).`
    : "";
}

/** The reason why a guest was not kept, as a part of a sentence. */
export function holdRefusalText(refusal: HoldRefusal): string {
  return refusalTexts[refusal];
}

const refusalTexts: Readonly<Record<HoldRefusal, string>> = {
  forbidden: "this host puts no guests on hold (MAX_HOLDS=0)",
  no_place: "as many guests are on hold as this host allows (MAX_HOLDS)",
  too_late: "its job did not stop in time",
};

/**
 * The jobs that count against a host's caps: all except those whose guests are on hold, up to `maxHolds` of these. More
 * guests on hold (the operator has lowered the limit) count like running jobs.
 */
export function countedSlots<Running extends { readonly onHold: boolean }>(
  active: readonly Running[],
  maxHolds: number,
): Running[] {
  let places = maxHolds;
  return active.filter(({ onHold }) => {
    if (!onHold || places <= 0) return true;
    places -= 1;
    return false;
  });
}
