import { createHash } from "node:crypto";
import type { Job } from "../core/job.ts";
import { stepsOf } from "../core/job-request.ts";
import { type QueuedJob, schedule } from "../core/scheduler.ts";
import { verdict } from "../core/verdict.ts";
import { listActive, listQueued } from "../store/capacity.ts";
import { applyEvent, claimJob, getJob } from "../store/jobs.ts";
import { type Context, isImageReady } from "./context.ts";
import { bootstrapToken } from "./identity.ts";
import { type Loop, startLoop } from "./loop.ts";

/** How many queued jobs one round, or one explanation, looks at. */
export const queueWindow = 10_000;

/** The longest pause between two rounds, should every wake-up be lost, in ms. */
const safetyPollMs = 5_000;

/** Starts the loop that gives free slots to queued jobs. It is woken by the store and by images. */
export function startScheduleLoop(context: Context): Loop {
  const loop = startLoop({
    name: "schedule",
    log: context.log,
    run: async () => {
      await scheduleOnce(context);
      return safetyPollMs;
    },
  });
  const unsubscribe = [
    context.store.subscribe((wake) => {
      if (wake.kind !== "log") loop.wake();
    }),
    context.images.onChange(() => loop.wake()),
  ];
  void loop.ended.then(() => {
    for (const stop of unsubscribe) stop();
  });
  return loop;
}

/** One round: refuse what can never run, then claim what can run now. */
async function scheduleOnce(context: Context): Promise<void> {
  if (context.phase !== "serving" || context.pausedReason() !== null) return;
  const queued = await listQueued(context.store, queueWindow);
  if (queued.length === 0) return;
  const now = Date.now();
  for (const job of queued) {
    const problem = imageProblem(context, job, now);
    if (problem !== null) await refuseQueued(context, job, problem);
  }
  const running = await listActive(context.store, context.identity.hostId);
  const jobIds = schedule({
    queued,
    running,
    maxConcurrency: context.config.maxConcurrency,
    labelCaps: context.config.capacityMap,
    imageReady: (image) => isImageReady(context, image),
    draining: false,
    now,
  });
  for (const jobId of jobIds) {
    // The host may have been told to stop, or have run out of space, while this round ran.
    if (context.phase === "serving" && context.pausedReason() === null) await claim(context, jobId);
  }
}

/** Why a queued job's image will not come, or null while there is hope. */
function imageProblem(context: Context, job: QueuedJob, now: number): string | null {
  if (isImageReady(context, job.image)) return null;
  if (!context.config.imageMap.images.has(job.image))
    return `Image ${job.image} is no longer in the image map.`;
  const state = context.images.state(job.image);
  if (state.kind === "failed" && state.permanent)
    return `Image ${job.image} cannot be used: ${state.message}`;
  const waitedMs = now - Math.max(job.submittedAt, context.startedAt);
  if (waitedMs < context.config.imageTimeoutSeconds * 1000) return null;
  const detail = state.kind === "failed" ? ` Its last error: ${state.message}` : "";
  return `Image ${job.image} did not become ready within ${context.config.imageTimeoutSeconds} s.${detail}`;
}

async function refuseQueued(context: Context, queued: QueuedJob, problem: string): Promise<void> {
  const job = await getJob(context.store, queued.id);
  if (job?.state !== "queued") return;
  await applyEvent(context.store, {
    jobId: job.id,
    attempt: job.attempt,
    event: "settle_infra_error",
    at: Date.now(),
    verdict: verdict("image_unavailable", problem),
  });
  context.log.warn({ jobId: job.id, image: job.image }, problem);
}

async function claim(context: Context, jobId: string): Promise<void> {
  const job = await getJob(context.store, jobId);
  if (job === null) return;
  const token = bootstrapToken(context.identity, jobId, job.attempt + 1);
  const claimed = await claimJob(context.store, {
    jobId,
    hostId: context.identity.hostId,
    at: Date.now(),
    backend: context.hypervisor.backend,
    bootstrapTokenHash: createHash("sha256").update(token).digest("hex"),
    stepNames: stepNamesOf(job),
  });
  if (claimed) context.log.info({ jobId, attempt: claimed.attempt, label: claimed.label }, "claimed a job");
}

/** The steps as the runner counts them: the checkout comes first where there is a repository. */
function stepNamesOf(job: Job): string[] {
  const names = stepsOf(job.request).map((step) => step.name);
  return job.request.repo_url === undefined ? names : ["checkout", ...names];
}
