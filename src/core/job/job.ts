import type { HoldRefusal } from "../request/hold-limits.ts";
import type { JobRequest } from "../request/job-request.ts";
import type { JobState } from "./job-state.ts";
import type { Verdict } from "./verdict.ts";

/** Names the hypervisors that a guest can run on. */
export const backends = ["libvirt", "zones", "noop"] as const;

/** One of {@link backends}. */
export type Backend = (typeof backends)[number];

/** What a guest is given. */
export interface GuestSize {
  readonly cpu: number;
  readonly ramMb: number;
  readonly diskGb: number;
}

/** A job as the store holds it. All times are milliseconds since the epoch. */
export interface Job {
  readonly id: string;
  /** The request as accepted, after validation: the repository, commit, steps and so on are read from here. */
  readonly request: JobRequest;
  readonly state: JobState;
  /** When the job entered `state`. */
  readonly stateSinceAt: number;
  /** The image its label resolved to at intake. */
  readonly image: string;
  /** The label as asked for (or the default label), before aliases: the one that capacity is counted by. */
  readonly label: string;
  readonly size: GuestSize;
  /** Jobs of one repository share this key; the scheduler is fair between keys. */
  readonly fairKey: string;
  readonly priority: number;
  readonly timeoutSeconds: number;
  /** 0 while it was never claimed; the claim adds 1. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** The host that runs (or last ran) it. */
  readonly hostId: string | null;
  readonly cancelRequestedAt: number | null;
  /** When somebody wanted it to end without its clean-up: the steps that always run are not waited for. */
  readonly cancelNowAt: number | null;
  /** The job that this one repeats, by the wish of a person; null for a job of its own. */
  readonly retryOf: string | null;
  /** Known from `finalizing` on; for a requeued job the verdict of the attempt before. */
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
  /** The verdict's reason where one was known, else null. */
  readonly reason: string | null;
}

/** The life of a step. */
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
  /** Where the step's output begins and ends in the attempt's `output` log, in bytes. */
  readonly logStart: number | null;
  readonly logEnd: number | null;
}

/** The life of a machine record: intent first, so that nothing exists that is not on record. */
export const machineStates = ["intended", "created", "running", "stopping", "gone"] as const;

/** One of {@link machineStates}. */
export type MachineState = (typeof machineStates)[number];

/** What can keep the exit code of a step from deciding a job, as told by the runner's `Finish`. */
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
  /** What the last step (or the checkout) exited with, as told by `Finish`. */
  readonly runnerExitCode: number | null;
  /** What `Finish` said kept an exit code from deciding, or null. */
  readonly runnerFailure: RunnerFailure | null;
  /** The guest's sentence about that, or about files that were not kept; null where it had none. */
  readonly runnerFailureDetail: string | null;
  /** The length in bytes and the SHA-256 (hex) of the whole output, as the guest counted it. */
  readonly logLength: number | null;
  readonly logSha256: string | null;
  /** Until when the guest of the failed job is kept for people to enter; null where it is not on hold. */
  readonly holdUntilAt: number | null;
  /** When somebody released it before that. */
  readonly holdReleasedAt: number | null;
  /** Why a guest that was to be kept is not. */
  readonly holdRefusal: HoldRefusal | null;
}

/** The two logs of an attempt: what the steps wrote, and the guest's serial console. */
export type LogStream = "output" | "console";

/** The name of a job's domain, zone and directory. */
export function guestName(jobId: string): string {
  return `job-${jobId}`;
}

/** The job a guest's name belongs to, or null when the name is not of our form. */
export function jobIdOfGuest(name: string): string | null {
  return /^job-([0-9a-z]{4,40})$/.exec(name)?.[1] ?? null;
}
