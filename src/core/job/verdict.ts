import type { FinalState } from "./job-state.ts";

/** Why a job ended as it did, for programs. Each reason belongs to exactly one final state. */
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

/** How a job (or one attempt of it) ended. */
export interface Verdict {
  readonly state: FinalState;
  readonly reason: VerdictReason;
  /** One sentence for a person. */
  readonly message: string;
  /** The exit code of the failing step, 0 on success, null where no step decided. */
  readonly exitCode: number | null;
}

/** Builds a verdict; the state follows from the reason. */
export function verdict(reason: VerdictReason, message: string, exitCode: number | null = null): Verdict {
  return { state: verdictReasons[reason], reason, message, exitCode };
}

/**
 * Whether an attempt that ended with `ended` is followed by another. Only our own failures are repeated, up to
 * `maxAttempts`; what {@link usesNoAttempt} always repeats.
 */
export function deservesRetry(ended: Verdict, attempt: number, maxAttempts: number): boolean {
  if (ended.state !== "infra_error" || ended.reason === "image_unavailable") return false;
  return usesNoAttempt(ended.reason) || attempt < maxAttempts;
}

/** Whether an attempt that ended so costs the job none: its host was told to stop, or had no room for the guest. */
export function usesNoAttempt(reason: VerdictReason): boolean {
  return reason === "host_shutdown" || reason === "host_disk_full";
}
