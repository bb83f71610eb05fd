import { hasAlwaysSteps } from "../request/job-request.ts";
import type { GuestPower } from "./guest.ts";
import { holdEndsAt, holdNote } from "./hold.ts";
import type { Job, Machine } from "./job.ts";
import { type ActiveState, isActive, type JobEvent } from "./job-state.ts";
import { requestStepAt } from "./step-names.ts";
import { deservesRetry, type Verdict, verdict } from "./verdict.ts";

/** Every wait of an active job, in milliseconds. */
export interface LifecycleLimits {
  /** From the guest's start to the runner's first call; also the longest time for provisioning. */
  readonly bootTimeoutMs: number;
  /** From the request to shut down to cutting the power. */
  readonly stopTimeoutMs: number;
  /** Longest time between two heartbeats of a started runner. */
  readonly silenceTimeoutMs: number;
  /** Time in which a stopped runner must end its step and send its last output. */
  readonly flushGraceMs: number;
  /** Time for the always steps, once a step has failed or the job was ordered to end. */
  readonly cleanupTimeoutMs: number;
  /** Time in which a guest must power itself off after its runner's `Finish`. */
  readonly powerOffGraceMs: number;
  /** Longest time between two observations of a guest, in case every wake-up is lost. */
  readonly pollMs: number;
}

/**
 * Progress of a host's shutdown: `drained` when the time for jobs to end by themselves is over. `restarting`: its
 * guests keep running for its next start.
 */
export type HostPhase = "serving" | "restarting" | "draining" | "drained" | "forced";

/** The fields of a failed step that a decision needs. */
export interface FailedStep {
  readonly index: number;
  readonly name: string;
  readonly exitCode: number | null;
  /** Time of the runner's report about the failure, in ms since the epoch. */
  readonly finishedAt: number | null;
}

/** Everything that a decision about one active job depends on. */
export interface LifecycleSnapshot {
  readonly job: Job;
  /** The machine record of the job's attempt. */
  readonly machine: Machine;
  /**
   * Must be observed before `job` and `machine` are read: a guest powers off right after `Finish`, so the other order
   * could show the guest stopped and its `Finish` not yet recorded.
   */
  readonly power: GuestPower;
  /** The first step that failed; null without one, or where it does not matter. */
  readonly failedStep: FailedStep | null;
  readonly hostPhase: HostPhase;
  /**
   * When this process began to observe the guest. Time limits that could have ended unobserved are counted from here.
   */
  readonly observedSinceAt: number;
  readonly limits: LifecycleLimits;
}

/** The next thing to do for a job. Each action can be repeated: the process may die before, during or after it. */
export type LifecycleAction =
  /** Create the guest and start it. */
  | { readonly kind: "provision" }
  /** Record an event. With `withConsole`, the last console lines are added to the verdict's message. */
  | {
      readonly kind: "apply";
      readonly event: JobEvent;
      readonly verdict?: Verdict;
      readonly withConsole?: boolean;
    }
  /** Request the guest's shutdown, and record the request. */
  | { readonly kind: "shutdown" }
  /** Cut the guest's power. */
  | { readonly kind: "destroy" }
  /** Keep the console, remove the guest with all its files, and record that it is gone. */
  | { readonly kind: "release" }
  /** Nothing to do before `until` (ms since the epoch) or a wake-up. */
  | { readonly kind: "wait"; readonly until: number };

/** The next thing to do for an active job. Pure: the same snapshot and time give the same answer. */
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
  // A guest is started after it is recorded as created. A guest that runs before that belongs to an older attempt, from
  // a time when this host had lost the job; provisioning replaces it.
  const isOwn = snapshot.machine.state !== "intended";
  if (snapshot.power === "running" && isOwn) return { kind: "apply", event: "boot" };
  const deadline =
    Math.max(snapshot.job.stateSinceAt, snapshot.observedSinceAt) + snapshot.limits.bootTimeoutMs;
  if (now >= deadline) {
    return conclude(
      verdict(
        "provision_failed",
        `The guest was not ready within ${inSeconds(snapshot.limits.bootTimeoutMs)}.`,
      ),
    );
  }
  return { kind: "provision" };
}

function decideBooting(snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  const { job, limits, power } = snapshot;
  const ended = endedFromOutside(snapshot) ?? powerLoss(power, "before its runner called");
  if (ended) return conclude(ended);
  // A runner that could not reach the orchestrator retries within the silence limit: allow it one retry after our
  // restart.
  const deadline = Math.max(
    job.stateSinceAt + limits.bootTimeoutMs,
    snapshot.observedSinceAt + Math.min(limits.silenceTimeoutMs, limits.bootTimeoutMs),
  );
  if (now < deadline) return waitUntil(deadline, snapshot, now);
  const text = `The guest is running, but its runner did not call within ${inSeconds(limits.bootTimeoutMs)}.`;
  return conclude(verdict("boot_timeout", text), true);
}

function decideRunning(snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  const { job, machine, limits } = snapshot;
  if (machine.runnerFinishedAt !== null) return conclude(verdictOfFinish(snapshot));
  const ended = endedFromOutside(snapshot) ?? powerLoss(snapshot.power, "while the job ran");
  if (ended) return conclude(ended);

  const { deadline: jobDeadline, overdue } = deadlineOfSteps(snapshot);
  if (now >= jobDeadline) return conclude(overdue);
  const heartbeatAt = Math.max(machine.runnerSeenAt ?? 0, job.stateSinceAt, snapshot.observedSinceAt);
  const silenceDeadline = heartbeatAt + limits.silenceTimeoutMs;
  if (now >= silenceDeadline) {
    const text = `No heartbeat from the runner for ${inSeconds(limits.silenceTimeoutMs)}; its guest is still running.`;
    return conclude(verdict("runner_silent", text), true);
  }
  return waitUntil(Math.min(jobDeadline, silenceDeadline), snapshot, now);
}

/**
 * The deadline for the runner's `Finish`, and the verdict when it is missed. Once a step of a job with always steps has
 * failed, the outcome is known, and the clean-up gets its whole time even if the job's own time is over.
 */
function deadlineOfSteps(snapshot: LifecycleSnapshot): { deadline: number; overdue: Verdict } {
  const { job, limits, failedStep } = snapshot;
  const timeoutMs = job.timeoutSeconds * 1000;
  const timesOutAt = job.stateSinceAt + timeoutMs;
  if (failedStep?.finishedAt != null) {
    const ended = verdictOfStep(failedStep);
    const overdue = { ...ended, message: `${ended.message} Its clean-up exceeded the time limit.` };
    const cleanUntil = failedStep.finishedAt + limits.cleanupTimeoutMs + limits.flushGraceMs;
    return { deadline: sightedDeadline(snapshot, Math.max(timesOutAt, cleanUntil), timeoutMs), overdue };
  }
  const overdue = verdict("job_timeout", `The job ran longer than its limit of ${inSeconds(timeoutMs)}.`);
  return { deadline: sightedDeadline(snapshot, timesOutAt, timeoutMs), overdue };
}

/** If the runner ended in time while it could not reach us (the database was unavailable), allow it to report that. */
function sightedDeadline(snapshot: LifecycleSnapshot, deadline: number, lengthMs: number): number {
  const { observedSinceAt, limits } = snapshot;
  if (observedSinceAt < deadline) return deadline;
  return observedSinceAt + Math.min(limits.silenceTimeoutMs, lengthMs);
}

/** The only release path: from any observed state to an empty host. */
function decideFinalizing(snapshot: LifecycleSnapshot, now: number): LifecycleAction {
  const { job, machine, limits } = snapshot;
  if (machine.state === "gone") return { kind: "apply", ...settlement(withHoldNote(job, machine)) };
  if (snapshot.power !== "running" && snapshot.power !== "paused") return { kind: "release" };
  const keepUntil = keptUntil(snapshot, now);
  if (keepUntil !== null) return waitUntil(keepUntil, snapshot, now);
  // A guest whose runner never called, or that is paused, has no last output and would not receive the request.
  if (machine.runnerStartedAt === null || snapshot.power === "paused" || snapshot.hostPhase === "forced") {
    return { kind: "destroy" };
  }
  if (machine.state !== "stopping") {
    const grace =
      machine.runnerFinishedAt === null
        ? lastOutputUntil(snapshot)
        : machine.runnerFinishedAt + limits.powerOffGraceMs;
    return now < grace ? waitUntil(grace, snapshot, now) : { kind: "shutdown" };
  }
  const cutAt = machine.stateSinceAt + limits.stopTimeoutMs;
  return now < cutAt ? waitUntil(cutAt, snapshot, now) : { kind: "destroy" };
}

/**
 * End of the time for which a guest on hold is kept, or null. A host that shuts down removes its guests, and a guest
 * that is paused, or whose runner sends no heartbeat, cannot be entered.
 */
function keptUntil(snapshot: LifecycleSnapshot, now: number): number | null {
  const { job, machine, limits, power, hostPhase } = snapshot;
  const keepsGuests = hostPhase === "serving" || hostPhase === "restarting";
  if (power !== "running" || !keepsGuests || machine.state === "stopping") return null;
  const endsAt = holdEndsAt(job, machine, now);
  if (endsAt === null) return null;
  const heartbeatAt = Math.max(
    machine.runnerSeenAt ?? 0,
    machine.runnerFinishedAt ?? 0,
    snapshot.observedSinceAt,
  );
  const silentAt = heartbeatAt + limits.silenceTimeoutMs;
  return now < silentAt ? Math.min(endsAt, silentAt) : null;
}

/** A job that ran out of time got its verdict before the hold was decided. */
function withHoldNote(job: Job, machine: Machine): Job {
  if (job.verdict?.reason !== "job_timeout") return job;
  return { ...job, verdict: { ...job.verdict, message: job.verdict.message + holdNote(job, machine) } };
}

/**
 * End of the wait for a runner that is alive and was ordered to stop: its last output and its clean-up are worth it.
 */
function lastOutputUntil({ job, limits, hostPhase }: LifecycleSnapshot): number {
  const reason = job.verdict?.reason;
  if (reason === "host_shutdown") return job.stateSinceAt + limits.flushGraceMs;
  if (reason !== "cancelled_by_user" && reason !== "job_timeout") return job.stateSinceAt;
  if (job.cancelNowAt !== null) return Math.max(job.stateSinceAt, job.cancelNowAt) + limits.flushGraceMs;
  const cleansUp = hasAlwaysSteps(job.request) && hostPhase !== "drained";
  return job.stateSinceAt + limits.flushGraceMs + (cleansUp ? limits.cleanupTimeoutMs : 0);
}

/**
 * True when the always steps are to be skipped: a person requested that, the attempt does not count (its host shuts
 * down), or the clean-up had its time. Only for a job that is ordered to stop.
 */
export function skipsCleanup(job: Job): boolean {
  if (job.cancelNowAt !== null) return true;
  const reason = job.state === "finalizing" ? job.verdict?.reason : undefined;
  return reason !== undefined && reason !== "cancelled_by_user" && reason !== "job_timeout";
}

/**
 * The end of a finalizing job when nothing of it is left on the host: another attempt where the verdict deserves one,
 * otherwise its verdict becomes its state.
 */
export function settlement(job: Job): { event: JobEvent; verdict: Verdict } {
  const ended = job.verdict;
  if (ended === null) throw new TypeError(`Job ${job.id} is finalizing without a verdict.`);
  const isRepeated = deservesRetry(ended, job.attempt, job.maxAttempts) && job.cancelRequestedAt === null;
  return { event: isRepeated ? "requeue" : `settle_${ended.state}`, verdict: ended };
}

/**
 * The verdict of an attempt whose host is lost, in the same order as for a running job: first what its runner reported
 * with `Finish`, then a cancellation; otherwise the attempt was lost with the host.
 */
export function verdictOfLostHost(
  attempt: Pick<LifecycleSnapshot, "job" | "machine" | "failedStep">,
): Verdict {
  if (attempt.machine.runnerFinishedAt !== null) return verdictOfFinish(attempt);
  if (attempt.job.cancelRequestedAt !== null) return cancelled();
  const host = attempt.machine.hostId;
  return verdict("host_lost", `Host ${host}, which ran this attempt, did not renew its lease in time.`);
}

function cancelled(): Verdict {
  return verdict("cancelled_by_user", "The job was cancelled.");
}

function endedFromOutside(snapshot: LifecycleSnapshot): Verdict | null {
  if (snapshot.job.cancelRequestedAt !== null) return cancelled();
  if (snapshot.hostPhase === "drained" || snapshot.hostPhase === "forced") {
    return verdict("host_shutdown", "The host was stopped before the job ended.");
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
        `The host paused the guest ${when}; the usual cause is a full disk on the host.`,
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
    return verdict("runner_lost", "A process in the guest killed the runner, probably a step of the job.");
  }
  if (machine.runnerFailure === "disk_full") {
    return verdict(
      "runner_lost",
      "The guest's disk is full, so the runner could not continue. Reduce what the job writes, or use a larger disk or size.",
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
      `The commit could not be checked out (exit code ${exitCode}); the end of the log has the reason.`,
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

/** The verdict of an attempt whose steps all succeeded. */
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
