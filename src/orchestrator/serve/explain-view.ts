import type { MessageInitShape } from "@bufbuild/protobuf";
import { drainOf } from "../../core/hosts/host-drain.ts";
import type { HostRecord } from "../../core/hosts/host-facts.ts";
import { countedSlots } from "../../core/job/hold.ts";
import type { Job } from "../../core/job/job.ts";
import type { ExplainSnapshot } from "../../core/schedule/explain.ts";
import { explainAcross, type ServingHost } from "../../core/schedule/explain-across.ts";
import { freeSlotOn } from "../../core/schedule/free-slot.ts";
import { lastAttemptOf } from "../../core/schedule/other-host-first.ts";
import { serves } from "../../core/schedule/placement.ts";
import type { RunningJob, SchedulerSnapshot } from "../../core/schedule/scheduler.ts";
import type { ExplainResponseSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { listSlots, recentDurations } from "../../store/jobs/capacity.ts";
import { listQueued } from "../../store/jobs/waiting.ts";
import { type Context, imageReadiness, isDraining, isImageReady, isImageServed } from "../context.ts";
import { factsOfHost, otherHosts } from "../hosts/host-facts.ts";

/** Maximum number of waiting jobs that an explanation reads. */
const queueWindow = 2_000;

/** Number of past jobs for an estimate. */
const durationSample = 20;

/** The facts that are the same for all hosts. */
interface Shared extends Pick<ExplainSnapshot, "queued" | "queuedIsCut" | "now" | "recentDurations"> {
  readonly sites: readonly Site[];
}

/** A live host, its running jobs, and whether it can start one more. */
interface Site {
  readonly hostId: string;
  readonly running: readonly RunningJob[];
  readonly hasFreeSlot: SchedulerSnapshot["othersHaveFreeSlot"];
}

/** Serves the API's Explain for one job, on every host that could run it. */
export async function explainView(
  context: Context,
  job: Job,
): Promise<MessageInitShape<typeof ExplainResponseSchema>> {
  const { store, identity } = context;
  const others = await otherHosts(context);
  const { jobs: queued, isWhole } = await listQueued(store, queueWindow);
  const shared = {
    queued,
    queuedIsCut: !isWhole,
    now: Date.now(),
    recentDurations: await recentDurations(store, { label: job.label, limit: durationSample }),
    sites: await sitesOf(context, others),
  };
  const serving: ServingHost[] = [];
  if (isImageServed(context, job.image)) {
    serving.push({ name: identity.hostId, snapshot: snapshotHere(context, shared) });
  }
  for (const host of others.filter((other) => serves(other, job.image))) {
    serving.push({ name: host.hostId, snapshot: snapshotThere(host, shared) });
  }
  const live = [thisHost(context), ...others.filter((host) => host.lostAt === null)];
  const lost = others.filter((host) => host.lostAt !== null);
  const answer = explainAcross({ ...job, lastAttempt: lastAttemptOf(job) }, { serving, live, lost });
  const { message: imageMessage } = isImageServed(context, job.image)
    ? imageReadiness(context, job.image)
    : { message: "" };
  const detail = answer.constraint === "image_not_ready" && imageMessage !== "" ? ` ${imageMessage}` : "";
  const closed = answer.constraint === "not_waiting" ? null : await context.reach.whyUnreachable(job);
  return {
    constraint: answer.constraint,
    message: answer.message + detail + (closed === null ? "" : ` ${closed}`),
    ...(answer.estimatedStartAt !== null && {
      estimatedStartMs: BigInt(Math.round(answer.estimatedStartAt)),
    }),
  };
}

function thisHost(context: Context) {
  return { hostId: context.identity.hostId, lostAt: null, facts: factsOfHost(context, null) };
}

async function sitesOf(context: Context, others: readonly HostRecord[]): Promise<Site[]> {
  const { store } = context;
  const live = [thisHost(context), ...others.filter((host) => host.lostAt === null)];
  return Promise.all(
    live.map(async (host) => {
      const running = countedSlots(await listSlots(store, host.hostId), host.facts.maxHolds);
      return { hostId: host.hostId, running, hasFreeSlot: freeSlotOn(host, running) };
    }),
  );
}

/** The facts of one host: its running jobs, and whether the other hosts have room. */
function siteFacts(hostId: string, { sites }: Shared) {
  const others = sites.filter((site) => site.hostId !== hostId);
  return {
    hostId,
    running: sites.find((site) => site.hostId === hostId)?.running ?? [],
    othersHaveFreeSlot: (job: Parameters<Site["hasFreeSlot"]>[0]) =>
      others.some((site) => site.hasFreeSlot(job)),
  };
}

function snapshotHere(context: Context, shared: Shared): ExplainSnapshot {
  const { config, identity } = context;
  return {
    ...shared,
    ...siteFacts(identity.hostId, shared),
    maxConcurrency: config.maxConcurrency,
    labelCaps: config.capacityMap,
    imageReady: (image) => isImageReady(context, image),
    draining: isDraining(context),
    drain: drainOf(factsOfHost(context, null)),
    paused: context.pausedReason(),
  };
}

function snapshotThere({ hostId, facts }: HostRecord, shared: Shared): ExplainSnapshot {
  return {
    ...shared,
    ...siteFacts(hostId, shared),
    maxConcurrency: facts.maxConcurrency,
    labelCaps: new Map(Object.entries(facts.labelCaps)),
    imageReady: (image) => Object.hasOwn(facts.images, image) && facts.images[image]?.ready === true,
    draining: facts.draining,
    drain: drainOf(facts),
    paused: facts.paused,
  };
}
