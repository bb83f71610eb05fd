import { SolsticeError } from "../errors.ts";
import type { GuestSize } from "../job/job.ts";
import { didYouMean } from "../text/closest-name.ts";
import type { ImageDefinition, ImageMap, NamedSize } from "./image-map.ts";

/** A job's label and the image that it resolves to. */
export interface ResolvedLabel {
  /** The requested label or the default label, before aliases. Capacity is counted by this label. */
  readonly label: string;
  readonly image: ImageDefinition;
}

/** Every name that `runs_on` may have: aliases first, then images, each in the order of the map. */
export function knownLabels(map: ImageMap): string[] {
  return [...map.aliases.keys(), ...map.images.keys()];
}

/**
 * Follows the aliases from `runsOn` (absent: the default label) to an image. Throws `unknown_label`, which lists every
 * known label. The map is validated (no cycles, and every alias has its target), so the walk ends after at most as many
 * steps as there are aliases.
 */
export function resolveLabel(map: ImageMap, runsOn: string | undefined): ResolvedLabel {
  const label = runsOn ?? map.defaultLabel;
  let name = label;
  for (let step = 0; step <= map.aliases.size; step += 1) {
    const image = map.images.get(name);
    if (image) return { label, image };
    const target = map.aliases.get(name);
    if (target === undefined) break;
    name = target;
  }
  throw unknownLabel(label, knownLabels(map));
}

/** The image that each label of the map resolves to, in the order of {@link knownLabels}. */
export function imagesByLabel(map: ImageMap): Map<string, string> {
  return new Map(knownLabels(map).map((label) => [label, resolveLabel(map, label).image.name]));
}

/** The image's own name, and every alias that leads to it. */
export function labelsOfImage(map: ImageMap, image: string): string[] {
  const aliases = [...imagesByLabel(map)].filter(([label, target]) => target === image && label !== image);
  return [image, ...aliases.map(([label]) => label)];
}

/** The `unknown_label` error for a label that is not in `known`. */
export function unknownLabel(label: string, known: readonly string[]): SolsticeError {
  // The message lists the labels, not the remedy: some places, such as a dead-letter header, keep only the message.
  const text = `No image has the label "${label}"${didYouMean(label, known)}. Known labels: ${known.join(", ")}.`;
  return new SolsticeError("unknown_label", text);
}

/** The size of a guest of a named size. A size without a disk keeps the image's disk. */
export function sizeOf(named: NamedSize, defaults: GuestSize): GuestSize {
  return { cpu: named.cpu, ramMb: named.ramMb, diskGb: named.diskGb ?? defaults.diskGb };
}

/** The size of a guest of `image`: the image's defaults, or the named size of the map. Throws `usage`, which lists the known sizes. */
export function resolveSize(map: ImageMap, image: ImageDefinition, sizeName: string | undefined): GuestSize {
  if (sizeName === undefined) return image.defaults;
  const size = map.sizes.get(sizeName);
  if (size) return sizeOf(size, image.defaults);
  const known = [...map.sizes.keys()];
  throw new SolsticeError("usage", `No size is named "${sizeName}"${didYouMean(sizeName, known)}.`, {
    remedy: known.length > 0 ? `Known sizes: ${known.join(", ")}.` : "The image map defines no sizes.",
  });
}
