import type { FinalState } from "./job-state.ts";

/** Reason of a job's end, for programs. Each reason belongs to exactly one final state. */
export const verdictReasons = {
  completed: "succeeded",
  step_failed: "failed",
  checkout_failed: "failed",
  artifact_missing: "failed",
  artifact_refused: "failed",
  job_timeout: "timed_out",
  step_timeout: "timed_out",
  cancelled_by_user: "cancelled",
  image_unavailable: "infra_error",
  provision_failed: "infra_error",
  secret_missing: "infra_error",
  boot_timeout: "infra_error",
  guest_stopped: "infra_error",
  guest_crashed: "infra_error",
  guest_lost: "infra_error",
  runner_silent: "infra_error",
  runner_lost: "infra_error",
  artifact_upload_failed: "infra_error",
  host_shutdown: "infra_error",
  host_disk_full: "infra_error",
  host_lost: "infra_error",
} as const satisfies Record<string, FinalState>;

/** One key of {@link verdictReasons}. */
export type VerdictReason = keyof typeof verdictReasons;

/** The end of a job (or of one attempt). */
export interface Verdict {
  readonly state: FinalState;
  readonly reason: VerdictReason;
  /** One sentence for a person. */
  readonly message: string;
  /** The exit code of the failed step, 0 on success, null when no step decided. */
  readonly exitCode: number | null;
}

/** Builds a verdict; the state follows from the reason. */
export function verdict(reason: VerdictReason, message: string, exitCode: number | null = null): Verdict {
  return { state: verdictReasons[reason], reason, message, exitCode };
}

/**
 * True when another attempt follows an attempt that ended with `ended`. Only infrastructure failures are repeated, up
 * to `maxAttempts`; a failure that {@link usesNoAttempt} is always repeated.
 */
export function deservesRetry(ended: Verdict, attempt: number, maxAttempts: number): boolean {
  if (ended.state !== "infra_error" || ended.reason === "image_unavailable") return false;
  return usesNoAttempt(ended.reason) || attempt < maxAttempts;
}

/** True when an attempt with this reason does not count: its host was stopped, or had no room for the guest. */
export function usesNoAttempt(reason: VerdictReason): boolean {
  return reason === "host_shutdown" || reason === "host_disk_full";
}
