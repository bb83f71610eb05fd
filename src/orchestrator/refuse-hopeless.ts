import { verdict } from "../core/verdict.ts";
import { applyEvent, getJob } from "../store/jobs.ts";
import { listGroups, listLanes, type QueueGroup } from "../store/waiting.ts";
import { type Context, isImageReady } from "./context.ts";

/** How many jobs of one label and image are looked at in one round. */
const jobsAtOnce = 200;

/**
 * Ends waiting jobs whose image will not come. Returns whether there may be more of them. Costs a seek for each label
 * whose image is in order, however many jobs wait.
 */
export async function refuseHopeless(context: Context): Promise<boolean> {
  let refused = 0;
  for (const group of await listGroups(context.store)) {
    // A job that could wait longest has waited since this process began: while that is hopeful, all are.
    if (imageProblem(context, group, { submittedAt: 0 }) === null) continue;
    const page = await listLanes(context.store, group, {
      after: null,
      perLane: jobsAtOnce,
      limit: jobsAtOnce,
    });
    for (const job of page.jobs) {
      const problem = imageProblem(context, group, job);
      if (problem === null) continue;
      await refuseQueued(context, job.id, problem);
      refused += 1;
    }
  }
  return refused > 0;
}

/** Why the image of a waiting job will not come, or null while there is hope. Another host's images are not looked at. */
function imageProblem(
  context: Context,
  { image }: QueueGroup,
  { submittedAt }: { submittedAt: number },
): string | null {
  if (isImageReady(context, image)) return null;
  if (!context.config.imageMap.images.has(image)) return `Image ${image} is no longer in the image map.`;
  const state = context.images.state(image);
  if (state.kind === "failed" && state.permanent) return `Image ${image} cannot be used: ${state.message}`;
  const { imageTimeoutSeconds } = context.config;
  const waitedMs = Date.now() - Math.max(submittedAt, context.startedAt);
  if (waitedMs < imageTimeoutSeconds * 1000) return null;
  const detail = state.kind === "failed" ? ` Its last error: ${state.message}` : "";
  return `Image ${image} did not become ready within ${imageTimeoutSeconds} s.${detail}`;
}

async function refuseQueued(context: Context, jobId: string, problem: string): Promise<void> {
  const job = await getJob(context.store, jobId);
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
