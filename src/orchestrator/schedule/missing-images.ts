import { serves } from "../../core/schedule/placement.ts";
import { countQueuedByGroup } from "../../store/jobs/capacity.ts";
import type { Context } from "../context.ts";
import { otherHosts } from "../hosts/host-facts.ts";

/**
 * Waiting jobs whose image is in no image map, so that they wait until the image is added again or they are
 * cancelled.
 */
export interface MissingImages {
  /** The number of jobs. */
  readonly jobs: number;
  readonly images: readonly string[];
}

/**
 * Finds the images that waiting jobs need, and that neither this host's map nor another live host has. The
 * cost grows with the number of waiting jobs.
 */
export async function findMissingImages(context: Context): Promise<MissingImages> {
  const { images: mapped } = context.config.imageMap;
  const unmapped = (await countQueuedByGroup(context.store)).filter(({ image }) => !mapped.has(image));
  if (unmapped.length === 0) return { jobs: 0, images: [] };
  const others = await otherHosts(context);
  const missing = unmapped.filter(({ image }) => !others.some((host) => serves(host, image)));
  return {
    jobs: missing.reduce((sum, { queued }) => sum + queued, 0),
    images: [...new Set(missing.map(({ image }) => image))],
  };
}

/** The sentence about such jobs in a log line. */
export function missingText({ jobs, images }: MissingImages): string {
  const count = jobs === 1 ? "1 waiting job needs an image" : `${jobs} waiting jobs need images`;
  return `${count} that no image map has: ${images.slice(0, imagesShownMax).join(", ")}`;
}

const imagesShownMax = 20;
