import type { HostRecord } from "../../core/hosts/host-facts.ts";
import { verdict } from "../../core/job/verdict.ts";
import { whyUnavailable } from "../../core/schedule/image-availability.ts";
import { applyEvent, getJob } from "../../store/jobs/jobs.ts";
import { listGroups, listLanes, type QueueGroup } from "../../store/jobs/waiting.ts";
import { type Context, imageHere, isImageReady } from "../context.ts";
import { otherHosts } from "../hosts/host-facts.ts";

/** Maximum number of jobs of one label and image that one round ends. */
const jobsAtOnce = 200;

/**
 * Ends waiting jobs whose image will not become available. Returns true when there may be more of them. Costs
 * one seek for each label with an available image, for any number of waiting jobs.
 */
export async function refuseUnavailable(context: Context): Promise<boolean> {
  const missing = (await listGroups(context.store)).filter(({ image }) => !isImageReady(context, image));
  if (missing.length === 0) return false;
  const others = await otherHosts(context);
  let refused = 0;
  for (const group of missing) {
    // A job submitted at time 0 has waited at most since the start of this process: if its image may still
    // come, so may all.
    if (imageProblem(context, group, { submittedAt: 0, others }) === null) continue;
    const page = await listLanes(context.store, group, {
      after: null,
      perLane: jobsAtOnce,
      limit: jobsAtOnce,
    });
    for (const job of page.jobs) {
      const problem = imageProblem(context, group, { submittedAt: job.submittedAt, others });
      if (problem === null) continue;
      await refuseQueued(context, job.id, problem);
      refused += 1;
    }
  }
  return refused > 0;
}

/**
 * The reason why the image of a waiting job will not become available, here or on another host; null while it
 * may.
 */
function imageProblem(
  context: Context,
  { image }: QueueGroup,
  { submittedAt, others }: { submittedAt: number; others: readonly HostRecord[] },
): string | null {
  return whyUnavailable(image, imageHere(context, image), {
    others,
    waitingSince: Math.max(submittedAt, context.startedAt),
    timeoutMs: context.config.imageTimeoutSeconds * 1000,
    now: Date.now(),
  });
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
