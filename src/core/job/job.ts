import type { HoldRefusal } from "../request/hold-limits.ts";
import type { JobRequest } from "../request/job-request.ts";
import type { JobState } from "./job-state.ts";
import type { Verdict } from "./verdict.ts";

/** The hypervisors that a guest can run on. */
export const backends = ["libvirt", "zones", "noop"] as const;

/** One of {@link backends}. */
export type Backend = (typeof backends)[number];

/** CPU, memory and disk of a guest. */
export interface GuestSize {
  readonly cpu: number;
  readonly ramMb: number;
  readonly diskGb: number;
}

/** A job as the store holds it. All times are milliseconds since the epoch. */
export interface Job {
  readonly id: string;
  /** The accepted request, after validation: the source of the repository, commit, steps and so on. */
  readonly request: JobRequest;
  readonly state: JobState;
  /** When the job entered `state`. */
  readonly stateSinceAt: number;
  /** The image its label resolved to at intake. */
  readonly image: string;
  /** The requested label (or the default label), before aliases; capacity is counted by this label. */
  readonly label: string;
  readonly size: GuestSize;
  /** Jobs of one repository share this key; the scheduler is fair between keys. */
  readonly fairKey: string;
  readonly priority: number;
  readonly timeoutSeconds: number;
  /** 0 before the first claim; each claim adds 1. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** The host that runs (or last ran) the job. */
  readonly hostId: string | null;
  readonly cancelRequestedAt: number | null;
  /** When a person requested the end without clean-up: the job does not wait for its always steps. */
  readonly cancelNowAt: number | null;
  /** The job that this one repeats, on a person's request; null when it repeats no other job. */
  readonly retryOf: string | null;
  /** Set from `finalizing` on; for a requeued job the verdict of the previous attempt. */
  readonly verdict: Verdict | null;
  readonly submittedAt: number;
  readonly finishedAt: number | null;
}

/** A change of state, as recorded for timings and for audits. */
export interface JobTransition {
  readonly jobId: string;
  readonly attempt: number;
  readonly from: JobState | null;
  readonly to: JobState;
  readonly at: number;
  readonly hostId: string | null;
  /** The verdict's reason when a verdict existed, else null. */
  readonly reason: string | null;
}

/** States of a step. */
export type StepState = "pending" | "running" | "succeeded" | "failed" | "skipped";

/** A step of one attempt. Index 0 is the checkout where the job has a repository. */
export interface JobStep {
  readonly jobId: string;
  readonly attempt: number;
  readonly index: number;
  readonly name: string;
  readonly state: StepState;
  readonly exitCode: number | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Start and end of the step's output in the attempt's `output` log, in bytes. */
  readonly logStart: number | null;
  readonly logEnd: number | null;
}

/** States of a machine record. The intent is recorded first, so that nothing exists without a record. */
export const machineStates = ["intended", "created", "running", "stopping", "gone"] as const;

/** One of {@link machineStates}. */
export type MachineState = (typeof machineStates)[number];

/** Failures, as the runner's `Finish` reports them, that decide a job instead of a step's exit code. */
export const runnerFailures = [
  "checkout",
  "step_timeout",
  "runner_killed",
  "disk_full",
  "guest_shutdown",
  "artifact_missing",
  "artifact_refused",
  "artifact_upload",
] as const;

/** One of {@link runnerFailures}. */
export type RunnerFailure = (typeof runnerFailures)[number];

/** The record of one attempt's virtual machine. */
export interface Machine {
  readonly jobId: string;
  readonly attempt: number;
  readonly hostId: string;
  readonly backend: Backend;
  readonly state: MachineState;
  readonly stateSinceAt: number;
  /** SHA-256 (hex) of the one-time token in the seed. */
  readonly bootstrapTokenHash: string;
  /** SHA-256 (hex) of the token the runner chose at its first `Start`; null until then. */
  readonly sessionTokenHash: string | null;
  /** When the runner's `Start` was accepted. */
  readonly runnerStartedAt: number | null;
  /** When the runner last called. */
  readonly runnerSeenAt: number | null;
  /** When the runner's `Finish` was accepted. */
  readonly runnerFinishedAt: number | null;
  /** Exit code of the last step (or the checkout), as `Finish` reported it. */
  readonly runnerExitCode: number | null;
  /** The failure that `Finish` reported instead of a deciding exit code, or null. */
  readonly runnerFailure: RunnerFailure | null;
  /** The guest's sentence about that failure, or about files that were not kept; null without such a sentence. */
  readonly runnerFailureDetail: string | null;
  /** Length in bytes and SHA-256 (hex) of the whole output, as the guest counted it. */
  readonly logLength: number | null;
  readonly logSha256: string | null;
  /** End of the hold of the failed job's guest; null when the guest is not on hold. */
  readonly holdUntilAt: number | null;
  /** When a person released the guest before that. */
  readonly holdReleasedAt: number | null;
  /** Reason why a requested hold was refused. */
  readonly holdRefusal: HoldRefusal | null;
}

/** The two logs of an attempt: what the steps wrote, and the guest's serial console. */
export type LogStream = "output" | "console";

/** The name of a job's domain, zone and directory. */
export function guestName(jobId: string): string {
  return `job-${jobId}`;
}

/** The job that a guest's name belongs to, or null when the name does not have our form. */
export function jobIdOfGuest(name: string): string | null {
  return /^job-([0-9a-z]{4,40})$/.exec(name)?.[1] ?? null;
}
