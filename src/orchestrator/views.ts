import type { MessageInitShape } from "@bufbuild/protobuf";
import { explain } from "../core/explain.ts";
import type { Job } from "../core/job.ts";
import { knownLabels, resolveLabel } from "../core/labels.ts";
import type { CapacityResponseSchema, ExplainResponseSchema } from "../gen/solstice/v1/jobs_pb.ts";
import { countJobs, listActive, recentDurations } from "../store/capacity.ts";
import { listQueued } from "../store/waiting.ts";
import { type Context, imageReadiness, isImageReady } from "./context.ts";

/** How many waiting jobs an explanation looks at. */
const queueWindow = 2_000;

/** How many past jobs an estimate is made from. */
const durationSample = 20;

/** What the API's Capacity tells: the caps, what runs on this host, and what waits. */
export async function capacityView(
  context: Context,
): Promise<MessageInitShape<typeof CapacityResponseSchema>> {
  const { config, identity } = context;
  const counts = await countJobs(context.store, identity.hostId);
  const labels = new Map<string, string>();
  for (const name of knownLabels(config.imageMap)) {
    labels.set(name, resolveLabel(config.imageMap, name).image.name);
  }
  for (const { label, image } of counts) labels.set(label, image);
  return {
    maxConcurrency: config.maxConcurrency,
    running: sum(counts.map((count) => count.active)),
    queued: sum(counts.map((count) => count.queued)),
    draining: context.phase !== "serving",
    labels: [...labels].map(([label, image]) => {
      const ofLabel = counts.filter((count) => count.label === label);
      const { state, message } = imageReadiness(context, image);
      return {
        label,
        image,
        cap: config.capacityMap.get(label),
        running: sum(ofLabel.map((count) => count.active)),
        queued: sum(ofLabel.map((count) => count.queued)),
        imageState: state,
        imageMessage: message,
      };
    }),
  };
}

/** What the API's Explain tells of one job. */
export async function explainView(
  context: Context,
  job: Job,
): Promise<MessageInitShape<typeof ExplainResponseSchema>> {
  const { config, store, identity } = context;
  const answer = explain(job, {
    queued: await listQueued(store, queueWindow),
    running: await listActive(store, identity.hostId),
    maxConcurrency: config.maxConcurrency,
    labelCaps: config.capacityMap,
    imageReady: (image) => isImageReady(context, image),
    draining: context.phase !== "serving",
    now: Date.now(),
    recentDurations: await recentDurations(store, { label: job.label, limit: durationSample }),
  });
  const { message: imageMessage } = imageReadiness(context, job.image);
  const detail = answer.constraint === "image_not_ready" && imageMessage !== "" ? ` ${imageMessage}` : "";
  return {
    constraint: answer.constraint,
    message: answer.message + detail,
    ...(answer.estimatedStartAt !== null && {
      estimatedStartMs: BigInt(Math.round(answer.estimatedStartAt)),
    }),
  };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
