import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ExplainSnapshot } from "../../core/explain.ts";
import { explainAcross, type ServingHost } from "../../core/explain-across.ts";
import type { HostRecord } from "../../core/host-facts.ts";
import type { Job } from "../../core/job.ts";
import { serves } from "../../core/placement.ts";
import type { ExplainResponseSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { listSlots, recentDurations } from "../../store/capacity.ts";
import { listQueued } from "../../store/waiting.ts";
import { type Context, imageReadiness, isImageReady } from "../context.ts";
import { otherHosts } from "../hosts/host-facts.ts";

/** How many waiting jobs an explanation looks at. */
const queueWindow = 2_000;

/** How many past jobs an estimate is made from. */
const durationSample = 20;

/** What does not differ between hosts. */
type Shared = Pick<ExplainSnapshot, "queued" | "queuedIsCut" | "now" | "recentDurations">;

/** What the API's Explain tells of one job, whichever hosts could run it. */
export async function explainView(
  context: Context,
  job: Job,
): Promise<MessageInitShape<typeof ExplainResponseSchema>> {
  const { store, config, identity } = context;
  const others = await otherHosts(context);
  const { jobs: queued, isWhole } = await listQueued(store, queueWindow);
  const shared = {
    queued,
    queuedIsCut: !isWhole,
    now: Date.now(),
    recentDurations: await recentDurations(store, { label: job.label, limit: durationSample }),
  };
  const serving: ServingHost[] = [];
  if (config.imageMap.images.has(job.image)) {
    serving.push({ name: identity.hostId, snapshot: await snapshotHere(context, shared) });
  }
  for (const host of others.filter((other) => serves(other, job.image))) {
    serving.push({ name: host.hostId, snapshot: await snapshotThere(context, host, shared) });
  }
  const live = others.filter((host) => host.lostAt === null);
  const lost = others.filter((host) => host.lostAt !== null);
  const answer = explainAcross(job, { serving, liveCount: live.length + 1, lost });
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

async function snapshotHere(context: Context, shared: Shared): Promise<ExplainSnapshot> {
  const { config, store, identity } = context;
  return {
    ...shared,
    running: await listSlots(store, identity.hostId),
    maxConcurrency: config.maxConcurrency,
    labelCaps: config.capacityMap,
    imageReady: (image) => isImageReady(context, image),
    draining: context.phase !== "serving",
    paused: context.pausedReason(),
  };
}

async function snapshotThere(
  { store }: Context,
  { hostId, facts }: HostRecord,
  shared: Shared,
): Promise<ExplainSnapshot> {
  return {
    ...shared,
    running: await listSlots(store, hostId),
    maxConcurrency: facts.maxConcurrency,
    labelCaps: new Map(Object.entries(facts.labelCaps)),
    imageReady: (image) => Object.hasOwn(facts.images, image) && facts.images[image]?.ready === true,
    draining: facts.draining,
    paused: facts.paused,
  };
}
