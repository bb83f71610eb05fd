import type { HoldRefusal } from "../request/hold-limits.ts";
import type { Job, Machine, RunnerFailure } from "./job.ts";

/** What a machine record says of a hold. */
export type HoldFacts = Pick<Machine, "holdUntilAt" | "holdReleasedAt" | "holdRefusal">;

/** What an operator allows on a host. */
export interface HoldPolicy {
  /** How many guests may be on hold beside the slots. */
  readonly maxHolds: number;
  /** The longest hold, in seconds. */
  readonly holdLimitSeconds: number;
}

/** The end of an attempt as its runner tells it. */
export interface ReportedEnd {
  readonly exitCode: number;
  readonly failure: RunnerFailure | null;
}

/** What is made of the wish to keep a guest; `none` where there is no such wish, or it does not apply. */
export type HoldAnswer =
  | { readonly kind: "none" }
  | { readonly kind: "granted"; readonly seconds: number }
  | { readonly kind: "refused"; readonly refusal: HoldRefusal };

/**
 * Whether the guest of an attempt that has just ended is put on hold. Only the job's own failures are worth that, and only
 * while its runner lives, which opens the shells: not success, not what was cancelled, not what failed through us.
 * `onHold` is how many guests of the host are on hold already.
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

/** What keeps the steps from deciding and is still the job's own fault. */
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
 * When an attempt's hold ends by itself (ms since the epoch), or null where it has none, or it has ended: somebody released
 * the guest, the job was cancelled, or the time is over.
 */
export function holdEndsAt(
  job: Pick<Job, "state" | "cancelRequestedAt">,
  { holdUntilAt, holdReleasedAt }: HoldFacts,
  now: number,
): number | null {
  if (holdUntilAt === null || holdReleasedAt !== null || now >= holdUntilAt) return null;
  // It is granted a moment before the job is seen to have failed.
  const isKept = job.state === "finalizing" || job.state === "running";
  return isKept && job.cancelRequestedAt === null ? holdUntilAt : null;
}

/** What a verdict's message says of the wish for a hold: nothing where it was fulfilled as wished, or there was none. */
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

/** Why a guest was not kept, as a part of a sentence. */
export function holdRefusalText(refusal: HoldRefusal): string {
  return refusalTexts[refusal];
}

const refusalTexts: Readonly<Record<HoldRefusal, string>> = {
  forbidden: "this host puts no guests on hold (MAX_HOLDS=0)",
  no_place: "as many guests are on hold as this host allows (MAX_HOLDS)",
  too_late: "its job did not end in time after it was told to stop",
};

/**
 * The jobs that count against a host's caps: all but those whose guests are on hold, as long as these are no more than
 * `maxHolds`. What goes beyond (the operator allows fewer than before) counts like any other.
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
