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

/** How many actions one round may take before it lets others go first; no job needs more between two waits. */
const maxActions = 20;

/**
 * Brings one job as far as it can go now: observe, decide, act, again. Returns how long to wait in ms unless woken, or
 * `done` when the job needs no driver any more. May be killed at any line: the next round starts from what is observed.
 */
export async function driveJob(
  context: Context,
  jobId: string,
  { observation, looking }: { readonly observation: Observation; readonly looking: () => void },
): Promise<number | "done"> {
  for (let count = 0; count < maxActions; count++) {
    looking();
    const { seen, observedSinceAt } = await observation.look(() => observe(context, jobId));
    if (seen === null) return "done";
    const snapshot = { ...seen, observedSinceAt };
    const now = Date.now();
    const action = decide(snapshot, now);
    if (action.kind === "wait") return action.until - now;
    context.log.debug({ jobId, state: snapshot.job.state, action: action.kind }, "acting");
    // Any other action's outcome is observed: what the guest did meanwhile counts as well.
    if ((await act(context, snapshot, action)) === "settled") return "done";
  }
  return 0;
}

async function observe(
  context: Context,
  jobId: string,
): Promise<Omit<LifecycleSnapshot, "observedSinceAt"> | null> {
  // The power comes first: see LifecycleSnapshot.
  const power = await context.hypervisor.power(jobId);
  const attempt = await loadAttempt(context.store, jobId);
  if (attempt === null || !isOurs(context, attempt.job)) {
    // Taken over while this host did not keep its lease: the job is another's, and only its guest is left to us.
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

/** Looked for once the runner told that there is one, and before where the clean-up after it is to be bounded. */
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

/** Does it, and tells whether the job has thereby left this host. */
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
    seen: job,
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
  context.log.info(facts, "the job changed its state");
  return after;
}

function recordMachine(context: Context, machine: Machine, state: Machine["state"]): Promise<void> {
  const { jobId, attempt } = machine;
  return setMachineState(context.store, { jobId, attempt, state, at: Date.now() });
}
