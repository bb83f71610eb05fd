import { hasAlwaysSteps } from "../request/job-request.ts";
import type { GuestPower } from "./guest.ts";
import { holdEndsAt, holdNote } from "./hold.ts";
import type { Job, Machine } from "./job.ts";
import { type ActiveState, isActive, type JobEvent } from "./job-state.ts";
import { requestStepAt } from "./step-names.ts";
import { deservesRetry, type Verdict, verdict } from "./verdict.ts";

/** Every wait of an active job, in milliseconds. */
export interface LifecycleLimits {
  /** From power-on to the runner's first call; also the longest that provisioning may take. */
  readonly bootTimeoutMs: number;
  /** From the request to shut down to cutting the power. */
  readonly stopTimeoutMs: number;
  /** The longest that a started runner may not be heard of. */
  readonly silenceTimeoutMs: number;
  /** How long a stopped runner may take to end its step and send its last output. */
  readonly flushGraceMs: number;
  /** How long the steps that always run may take, once a step has failed or the job was told to end. */
  readonly cleanupTimeoutMs: number;
  /** How long a guest may take to power itself off after its runner's `Finish`. */
  readonly powerOffGraceMs: number;
  /** The longest between two looks at a guest, should every wake-up be lost. */
  readonly pollMs: number;
}

/**
 * How far a host is on its way down: `drained` when the time for jobs to end by themselves is over. `restarting`: its guests
 * are left running for its next start.
 */
export type HostPhase = "serving" | "restarting" | "draining" | "drained" | "forced";

/** What a decision needs to know of the step that failed. */
export interface FailedStep {
  readonly index: number;
  readonly name: string;
  readonly exitCode: number | null;
  /** When that was told, in ms since the epoch. */
  readonly finishedAt: number | null;
}

/** All that a decision about one active job depends on. */
export interface LifecycleSnapshot {
  readonly job: Job;
  /** The machine record of the job's attempt. */
  readonly machine: Machine;
  /** Must have been observed before `job` and `machine` were read: a guest powers off right after `Finish`, and the
   * other order would see the power gone and the finish not yet there. */
  readonly power: GuestPower;
  /** The first step that failed, where there is one and it matters. */
  readonly failedStep: FailedStep | null;
  readonly hostPhase: HostPhase;
  /** When this process began to look. Waits that nobody could have seen end are counted from here. */
  readonly observedSinceAt: number;
  readonly limits: LifecycleLimits;
}

/** The one next thing to do for a job. Each can be repeated, and the process may die before, during or after it. */
export type LifecycleAction =
  /** Make the guest and give it power. */
  | { readonly kind: "provision" }
  /** Record an event. With `withConsole`, the last console lines are added to the verdict's message. */
  | {
      readonly kind: "apply";
      readonly event: JobEvent;
      readonly verdict?: Verdict;
      readonly withConsole?: boolean;
    }
  /** Ask the guest to shut down, and record that it was asked. */
  | { readonly kind: "shutdown" }
  /** Cut the guest's power. */
  | { readonly kind: "destroy" }
  /** Keep the console, remove the guest with all its files, and record that it is gone. */
  | { readonly kind: "release" }
  /** Nothing to do before `until` (ms since the epoch), or a wake-up. */
  | { readonly kind: "wait"; readonly until: number };

/** The one next thing to do for an active job. Pure: the same snapshot and time give the same answer. */
export function decide(snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  const { state } = snapshot.job;
  if (!isActive(state)) throw new TypeError(`A job in state ${state} needs no decision.`);
  return decideByState[state](snapshot, now);
}

const decideByState: Record<ActiveState, (snapshot: LifecycleSnapshot, now: number) => LifecycleAction> = {
  provisioning: decideProvisioning,
  booting: decideBooting,
  running: decideRunning,
  finalizing: decideFinalizing,
};

function decideProvisioning(snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  const ended = endedFromOutside(snapshot);
  if (ended) return conclude(ended);
  // Power comes after the guest is on record as made. Before that, what runs is an older attempt's, from a time when this
  // host had lost the job; provisioning replaces it.
  const isOwn = snapshot.machine.state !== "intended";
  if (snapshot.power === "running" && isOwn) return { kind: "apply", event: "boot" };
  const deadline =
    Math.max(snapshot.job.stateSinceAt, snapshot.observedSinceAt) + snapshot.limits.bootTimeoutMs;
  if (now >= deadline) {
    return conclude(
      verdict(
        "provision_failed",
        `The guest could not be made ready within ${inSeconds(snapshot.limits.bootTimeoutMs)}.`,
      ),
    );
  }
  return { kind: "provision" };
}

function decideBooting(snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  const { job, limits, power } = snapshot;
  const ended = endedFromOutside(snapshot) ?? powerLoss(power, "before its runner called");
  if (ended) return conclude(ended);
  // A runner that found nobody at home tries again within the silence limit: it gets that chance after a restart.
  const deadline = Math.max(
    job.stateSinceAt + limits.bootTimeoutMs,
    snapshot.observedSinceAt + Math.min(limits.silenceTimeoutMs, limits.bootTimeoutMs),
  );
  if (now < deadline) return waitUntil(deadline, snapshot, now);
  const text = `The guest has power, but its runner did not call within ${inSeconds(limits.bootTimeoutMs)}.`;
  return conclude(verdict("boot_timeout", text), true);
}

function decideRunning(snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  const { job, machine, limits } = snapshot;
  if (machine.runnerFinishedAt !== null) return conclude(verdictOfFinish(snapshot));
  const ended = endedFromOutside(snapshot) ?? powerLoss(snapshot.power, "while the job ran");
  if (ended) return conclude(ended);

  const { deadline: jobDeadline, overdue } = deadlineOfSteps(snapshot);
  if (now >= jobDeadline) return conclude(overdue);
  const heardAt = Math.max(machine.runnerSeenAt ?? 0, job.stateSinceAt, snapshot.observedSinceAt);
  const silenceDeadline = heardAt + limits.silenceTimeoutMs;
  if (now >= silenceDeadline) {
    const text = `The runner was not heard of for ${inSeconds(limits.silenceTimeoutMs)}, though its guest has power.`;
    return conclude(verdict("runner_silent", text), true);
  }
  return waitUntil(Math.min(jobDeadline, silenceDeadline), snapshot, now);
}

/**
 * Until when the runner has to tell the end, and what it means when it does not. Once a step of a job that cleans up has
 * failed, the outcome is known, and the clean-up has its time even where that of the job is over.
 */
function deadlineOfSteps(snapshot: LifecycleSnapshot): { deadline: number; overdue: Verdict } {
  const { job, limits, failedStep } = snapshot;
  const timeoutMs = job.timeoutSeconds * 1000;
  const timesOutAt = job.stateSinceAt + timeoutMs;
  if (failedStep?.finishedAt != null) {
    const ended = verdictOfStep(failedStep);
    const overdue = { ...ended, message: `${ended.message} Its clean-up did not end in time.` };
    const cleanUntil = failedStep.finishedAt + limits.cleanupTimeoutMs + limits.flushGraceMs;
    return { deadline: sightedDeadline(snapshot, Math.max(timesOutAt, cleanUntil), timeoutMs), overdue };
  }
  const overdue = verdict("job_timeout", `The job ran longer than its limit of ${inSeconds(timeoutMs)}.`);
  return { deadline: sightedDeadline(snapshot, timesOutAt, timeoutMs), overdue };
}

/** A runner that ended in time while nobody could hear it (the database was away) gets the chance to say so. */
function sightedDeadline(snapshot: LifecycleSnapshot, deadline: number, lengthMs: number): number {
  const { observedSinceAt, limits } = snapshot;
  if (observedSinceAt < deadline) return deadline;
  return observedSinceAt + Math.min(limits.silenceTimeoutMs, lengthMs);
}

/** The release path, the only one: from whatever is observed towards nothing left. */
function decideFinalizing(snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  const { job, machine, limits } = snapshot;
  if (machine.state === "gone") return { kind: "apply", ...settlement(withHoldNote(job, machine)) };
  if (snapshot.power !== "running" && snapshot.power !== "paused") return { kind: "release" };
  const keepUntil = keptUntil(snapshot, now);
  if (keepUntil !== null) return waitUntil(keepUntil, snapshot, now);
  // A guest whose runner never called, or that stands still, has nothing to say and would not hear the request.
  if (machine.runnerStartedAt === null || snapshot.power === "paused" || snapshot.hostPhase === "forced") {
    return { kind: "destroy" };
  }
  if (machine.state !== "stopping") {
    const grace =
      machine.runnerFinishedAt === null
        ? lastWordsUntil(snapshot)
        : machine.runnerFinishedAt + limits.powerOffGraceMs;
    return now < grace ? waitUntil(grace, snapshot, now) : { kind: "shutdown" };
  }
  const cutAt = machine.stateSinceAt + limits.stopTimeoutMs;
  return now < cutAt ? waitUntil(cutAt, snapshot, now) : { kind: "destroy" };
}

/**
 * Until when a guest on hold is left alone, or null. A host that goes down takes its guests along, and a guest that stands
 * still, or whose runner is not heard of, cannot be entered.
 */
function keptUntil(snapshot: LifecycleSnapshot, now: number): number | null {
  const { job, machine, limits, power, hostPhase } = snapshot;
  const keepsGuests = hostPhase === "serving" || hostPhase === "restarting";
  if (power !== "running" || !keepsGuests || machine.state === "stopping") return null;
  const endsAt = holdEndsAt(job, machine, now);
  if (endsAt === null) return null;
  const heardAt = Math.max(
    machine.runnerSeenAt ?? 0,
    machine.runnerFinishedAt ?? 0,
    snapshot.observedSinceAt,
  );
  const silentAt = heardAt + limits.silenceTimeoutMs;
  return now < silentAt ? Math.min(endsAt, silentAt) : null;
}

/** A job that ran out of time got its verdict before it was known whether its guest would be kept. */
function withHoldNote(job: Job, machine: Machine): Job {
  if (job.verdict?.reason !== "job_timeout") return job;
  return { ...job, verdict: { ...job.verdict, message: job.verdict.message + holdNote(job, machine) } };
}

/** How long a runner that is alive and was told to stop is waited for: its last output, and its clean-up, are worth it. */
function lastWordsUntil({ job, limits, hostPhase }: LifecycleSnapshot): number {
  const reason = job.verdict?.reason;
  if (reason === "host_shutdown") return job.stateSinceAt + limits.flushGraceMs;
  if (reason !== "cancelled_by_user" && reason !== "job_timeout") return job.stateSinceAt;
  if (job.cancelNowAt !== null) return Math.max(job.stateSinceAt, job.cancelNowAt) + limits.flushGraceMs;
  const cleansUp = hasAlwaysSteps(job.request) && hostPhase !== "drained";
  return job.stateSinceAt + limits.flushGraceMs + (cleansUp ? limits.cleanupTimeoutMs : 0);
}

/**
 * Whether what always runs is to run no more: somebody wished so, the attempt does not count (its host shuts down), or the
 * clean-up had its time. Only of a job that is told to stop.
 */
export function skipsCleanup(job: Job): boolean {
  if (job.cancelNowAt !== null) return true;
  const reason = job.state === "finalizing" ? job.verdict?.reason : undefined;
  return reason !== undefined && reason !== "cancelled_by_user" && reason !== "job_timeout";
}

/**
 * How a finalizing job goes on once nothing of it is left: another attempt where the verdict deserves one, else its verdict
 * becomes its state.
 */
export function settlement(job: Job): { event: JobEvent; verdict: Verdict } {
  const ended = job.verdict;
  if (ended === null) throw new TypeError(`Job ${job.id} is finalizing without a verdict.`);
  const isRepeated = deservesRetry(ended, job.attempt, job.maxAttempts) && job.cancelRequestedAt === null;
  return { event: isRepeated ? "requeue" : `settle_${ended.state}`, verdict: ended };
}

/**
 * What is left to say of an attempt whose host is lost, by the same order as in a running job: what its runner told with
 * `Finish` still counts, then that somebody cancelled it; else the host took it along.
 */
export function verdictOfLostHost(
  attempt: Pick<LifecycleSnapshot, "job" | "machine" | "failedStep">,
): Verdict {
  if (attempt.machine.runnerFinishedAt !== null) return verdictOfFinish(attempt);
  if (attempt.job.cancelRequestedAt !== null) return cancelled();
  const host = attempt.machine.hostId;
  return verdict(
    "host_lost",
    `Host ${host} was not heard of for longer than its lease; it ran this attempt.`,
  );
}

function cancelled(): Verdict {
  return verdict("cancelled_by_user", "The job was cancelled.");
}

function endedFromOutside(snapshot: LifecycleSnapshot): Verdict | null {
  if (snapshot.job.cancelRequestedAt !== null) return cancelled();
  if (snapshot.hostPhase === "drained" || snapshot.hostPhase === "forced") {
    return verdict("host_shutdown", "The host was told to stop before the job ended.");
  }
  return null;
}

function powerLoss(power: GuestPower, when: string): Verdict | null {
  switch (power) {
    case "running":
      return null;
    case "paused":
      return verdict(
        "guest_stopped",
        `The host paused the guest ${when}; a full disk on the host does this.`,
      );
    case "crashed":
      return verdict("guest_crashed", `The guest crashed ${when}.`);
    case "stopped":
      return verdict("guest_stopped", `The guest powered itself off or restarted ${when}.`);
    case "absent":
      return verdict("guest_lost", `The guest disappeared from the host ${when}.`);
  }
}

function verdictOfFinish(attempt: Pick<LifecycleSnapshot, "job" | "machine" | "failedStep">): Verdict {
  const ended = verdictOfRunner(attempt);
  return { ...ended, message: ended.message + holdNote(attempt.job, attempt.machine) };
}

function verdictOfRunner(attempt: Pick<LifecycleSnapshot, "job" | "machine" | "failedStep">): Verdict {
  const { machine, failedStep } = attempt;
  const exitCode = machine.runnerExitCode ?? 0;
  if (machine.runnerFailure === "runner_killed") {
    return verdict("runner_lost", "Something in the guest killed the runner, probably a step of the job.");
  }
  if (machine.runnerFailure === "disk_full") {
    return verdict(
      "runner_lost",
      "The guest's disk is full, so the runner could not go on. Let the job write less, or give its guest a larger disk or size.",
    );
  }
  if (machine.runnerFailure === "guest_shutdown") {
    return verdict(
      "guest_stopped",
      "The guest was shut down or restarted from inside while the job ran, probably by a step of the job.",
    );
  }
  if (machine.runnerFailure === "checkout") {
    return verdict(
      "checkout_failed",
      `The commit could not be checked out (exit code ${exitCode}); the end of the log says why.`,
      exitCode,
    );
  }
  if (exitCode === 0) return verdictOfArtifacts(machine);
  const { index = -1, name = null } = failedStep ?? {};
  if (machine.runnerFailure === "step_timeout") {
    const limit = requestStepAt(attempt.job.request, index)?.timeout_seconds;
    const text = `${stepText(name)} ran longer than its limit${limit === undefined ? "" : ` of ${limit} s`}.`;
    return verdict("step_timeout", text, exitCode);
  }
  return verdictOfStep({ name, exitCode });
}

function verdictOfStep({ name, exitCode }: { name: string | null; exitCode: number | null }): Verdict {
  return verdict("step_failed", `${stepText(name)} exited with code ${exitCode ?? "unknown"}.`, exitCode);
}

function stepText(name: string | null): string {
  return name === null ? "A step" : `Step "${name}"`;
}

/** Of steps that succeeded. */
function verdictOfArtifacts({ runnerFailure, runnerFailureDetail }: Machine): Verdict {
  const detail = runnerFailureDetail ?? "an artifact could not be kept";
  if (runnerFailure === "artifact_missing")
    return verdict("artifact_missing", `Every step succeeded, but ${detail}.`);
  if (runnerFailure === "artifact_refused")
    return verdict("artifact_refused", `Every step succeeded, but ${detail}.`);
  if (runnerFailure === "artifact_upload") {
    return verdict("artifact_upload_failed", `Every step succeeded, but ${detail}.`);
  }
  const note = runnerFailureDetail === null ? "" : ` But ${runnerFailureDetail}.`;
  return verdict("completed", `Every step succeeded.${note}`, 0);
}

function conclude(ended: Verdict, always = false): LifecycleAction {
  const withConsole = always || ended.reason === "guest_stopped" || ended.reason === "guest_crashed";
  return { kind: "apply", event: "conclude", verdict: ended, withConsole };
}

function waitUntil(deadline: number, snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  return { kind: "wait", until: Math.min(deadline, now + snapshot.limits.pollMs) };
}

function inSeconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
