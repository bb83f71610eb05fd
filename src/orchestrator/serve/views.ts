import type { MessageInitShape } from "@bufbuild/protobuf";
import { imagesByLabel } from "../../core/image-map/labels.ts";
import { countedSlots } from "../../core/job/hold.ts";
import type { CapacityResponseSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { listSlots } from "../../store/jobs/capacity.ts";
import { type Context, imageReadiness, isDraining } from "../context.ts";
import { hostsView } from "./hosts-view.ts";
import type { QueueCounts } from "./queue-counts.ts";

/** Serves the API's Capacity: the limits, the running jobs of this host, and the waiting jobs. */
export async function capacityView(
  context: Context,
  countQueued: QueueCounts,
): Promise<MessageInitShape<typeof CapacityResponseSchema>> {
  const { config, identity } = context;
  const queued = await countQueued();
  const active = await listSlots(context.store, identity.hostId);
  const running = countedSlots(active, config.maxHolds);
  const labels = imagesByLabel(config.imageMap);
  for (const { label, image } of [...queued, ...running]) labels.set(label, image);
  return {
    maxConcurrency: config.maxConcurrency,
    running: running.length,
    onHold: active.length - running.length,
    maxHolds: config.maxHolds,
    queued: sum(queued.map((count) => count.queued)),
    draining: isDraining(context),
    hosts: await hostsView(context),
    labels: [...labels].map(([label, image]) => {
      const { state, message } = imageReadiness(context, image);
      return {
        label,
        image,
        cap: config.capacityMap.get(label),
        running: running.filter((job) => job.label === label).length,
        queued: sum(queued.filter((count) => count.label === label).map((count) => count.queued)),
        imageState: state,
        imageMessage: message,
      };
    }),
  };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
