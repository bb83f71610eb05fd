import type { MessageInitShape } from "@bufbuild/protobuf";
import { knownLabels, resolveLabel } from "../../core/labels.ts";
import type { CapacityResponseSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { countJobs } from "../../store/capacity.ts";
import { type Context, imageReadiness } from "../context.ts";
import { hostsView } from "./hosts-view.ts";

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
    hosts: await hostsView(context),
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

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
