import type { Job, JobStep, Machine } from "../../core/job/job.ts";
import { isActive } from "../../core/job/job-state.ts";
import { decide, type LifecycleAction, type LifecycleSnapshot } from "../../core/job/lifecycle.ts";
import { hasAlwaysSteps } from "../../core/request/job-request.ts";
import { loadAttempt } from "../../store/jobs/attempts.ts";
import { applyEvent } from "../../store/jobs/jobs.ts";
import { setMachineState } from "../../store/jobs/machines.ts";
import { listSteps } from "../../store/jobs/steps.ts";
import type { Context } from "../context.ts";
import { explainCheckout } from "../reach/repository-reach.ts";
import { explainVerdict } from "./console.ts";
import type { Observation } from "./observation.ts";
import { provision } from "./provision.ts";
import { release } from "./release.ts";

/** Maximum actions of one round before other jobs run; no job needs more between two waits. */
const maxActions = 20;

/**
 * Moves one job forward as far as possible now: observe, decide, act, repeat. Returns the pause in ms unless
 * woken, or `done` when the job needs no driver. A crash at any line is safe: the next round starts from the
 * observed state.
 */
export async function driveJob(
  context: Context,
  jobId: string,
  { observation, reading }: { readonly observation: Observation; readonly reading: () => void },
): Promise<number | "done"> {
  for (let count = 0; count < maxActions; count++) {
    reading();
    const { observed, observedSinceAt } = await observation.observe(() => observe(context, jobId));
    if (observed === null) return "done";
    const snapshot = { ...observed, observedSinceAt };
    const now = Date.now();
    const action = decide(snapshot, now);
    if (action.kind === "wait") return action.until - now;
    context.log.debug({ jobId, state: snapshot.job.state, action: action.kind }, "acting");
    // The result of any other action is observed in the next round, together with changes in the guest.
    if ((await act(context, snapshot, action)) === "settled") return "done";
  }
  return 0;
}

async function observe(
  context: Context,
  jobId: string,
): Promise<Omit<LifecycleSnapshot, "observedSinceAt"> | null> {
  // The power is read first: see LifecycleSnapshot.
  const power = await context.hypervisor.power(jobId);
  const attempt = await loadAttempt(context.store, jobId);
  if (attempt === null || !isOurs(context, attempt.job)) {
    // Taken over while this host did not renew its lease: the job belongs to another host, and only the guest
    // remains here.
    if (power !== "absent") await context.hypervisor.remove(jobId);
    return null;
  }
  return {
    ...attempt,
    power,
    failedStep: await failedStep(context, attempt),
    hostPhase: context.phase,
    limits: context.limits,
  };
}

function isOurs(context: Context, job: Job): boolean {
  return isActive(job.state) && job.hostId === context.identity.hostId;
}

/**
 * Reads the failed step after the runner reported a failure, and before that if the job has clean-up steps
 * with a time limit.
 */
async function failedStep(
  context: Context,
  { job, machine }: { readonly job: Job; readonly machine: Machine },
): Promise<JobStep | null> {
  const isWanted =
    machine.runnerFinishedAt === null
      ? job.state === "running" && hasAlwaysSteps(job.request)
      : machine.runnerExitCode !== 0;
  if (!isWanted) return null;
  const steps = await listSteps(context.store, machine);
  return steps.find((step) => step.state === "failed") ?? null;
}

/** Performs the action; `settled` when the job has left this host. */
async function act(
  context: Context,
  snapshot: LifecycleSnapshot,
  action: Exclude<LifecycleAction, { kind: "wait" }>,
): Promise<"settled" | undefined> {
  const { job, machine } = snapshot;
  switch (action.kind) {
    case "provision":
      await provision(context, job);
      return;
    case "apply": {
      const after = await applyAction(context, job, action);
      return after !== null && !isActive(after.state) ? "settled" : undefined;
    }
    case "shutdown":
      await context.hypervisor.requestShutdown(job.id);
      await recordMachine(context, machine, "stopping");
      return;
    case "destroy":
      await context.hypervisor.destroy(job.id);
      return;
    case "release":
      await release(context, job);
      return;
  }
}

async function applyAction(
  context: Context,
  job: Job,
  action: Extract<LifecycleAction, { kind: "apply" }>,
): Promise<Job | null> {
  const { verdict: ended, withConsole: withTail = false } = action;
  const explained = ended && (await explainVerdict(context, job, { ended, withTail }));
  const verdict = explained && (await explainCheckout(context.reach, job, explained));
  const after = await applyEvent(context.store, {
    jobId: job.id,
    attempt: job.attempt,
    event: action.event,
    holder: context.identity.hostId,
    at: Date.now(),
    lastRead: job,
    ...(verdict && { verdict }),
    ...(action.event === "boot" && { machine: "running" }),
  });
  const facts = {
    jobId: job.id,
    attempt: job.attempt,
    from: job.state,
    to: after?.state,
    reason: verdict?.reason,
  };
  context.log.info(facts, "job state changed");
  return after;
}

function recordMachine(context: Context, machine: Machine, state: Machine["state"]): Promise<void> {
  const { jobId, attempt } = machine;
  return setMachineState(context.store, { jobId, attempt, state, at: Date.now() });
}
