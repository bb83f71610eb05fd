import { isSolsticeError, SolsticeError } from "../errors.ts";
import { type HostFacts, type HostRecord, unfitThere } from "../hosts/host-facts.ts";
import type { ImageMap } from "../image-map/image-map.ts";
import { knownLabels, resolveLabel, resolveSize, sizeOf, unknownLabel } from "../image-map/labels.ts";
import type { GuestSize } from "../job/job.ts";
import { didYouMean } from "../text/closest-name.ts";

/** The requested label and size. */
export interface PlacementRequest {
  /** Absent: the default label of the host that accepts the request. */
  readonly runsOn: string | undefined;
  /** Absent: the image's own size. */
  readonly size: string | undefined;
}

/**
 * The resolved request: the label that capacity is counted by, the image and the size of the guest. Decided once, when
 * the request is accepted, and recorded with the job: a changed image map affects only new jobs.
 */
export interface Placement {
  readonly label: string;
  readonly image: string;
  readonly size: GuestSize;
}

/**
 * Time for which a label stays valid after the last renewal of the only host that serves it, in ms: messages for a host
 * under repair must not be dead-lettered. Its jobs wait, and `explain` names that host.
 */
export const hostMemoryMs = 7 * 24 * 60 * 60 * 1000;

/**
 * Resolves a request by this host's map. Returns the error instead of throwing it, since another host's map may resolve
 * the request.
 */
export function placeHere(requested: PlacementRequest, map: ImageMap): Placement | SolsticeError {
  try {
    const { label, image } = resolveLabel(map, requested.runsOn);
    return { label, image: image.name, size: resolveSize(map, image, requested.size) };
  } catch (error) {
    if (isSolsticeError(error, "unknown_label") || isSolsticeError(error, "usage")) return error;
    throw error;
  }
}

/**
 * Resolves a request that this host's map could not resolve (`here`) by the other hosts' facts: first those that run it,
 * then those that hold their lease, then those that renewed it within {@link hostMemoryMs}. Throws `unknown_label`, which
 * lists the labels of all hosts, or `usage` for a size that is unknown wherever the label is known.
 */
export function placeElsewhere(
  requested: PlacementRequest,
  here: SolsticeError,
  known: { map: ImageMap; others: readonly HostRecord[]; now: number },
): Placement {
  const { map } = known;
  const others = known.others
    .filter((host) => isRemembered(host, known.now))
    .sort((a, b) => distance(requested, a) - distance(requested, b));
  for (const { facts } of others) {
    const there = placeBy(requested, facts);
    if (there !== null) return there;
  }
  const hasLabel = here.code !== "unknown_label" || others.some(({ facts }) => imageBy(requested, facts));
  if (!hasLabel) throw unknownLabel(requested.runsOn ?? map.defaultLabel, labelsOfAll(map, others));
  throw here.code === "usage" ? here : unknownSize(requested.size ?? "", others);
}

/** True when a host's last facts still count. */
export function isRemembered(host: HostRecord, now: number): boolean {
  return now - host.renewedAt < hostMemoryMs;
}

/** Rank of a host by how soon it can run the request: 0 now, 1 not by itself, 2 lost. */
function distance(requested: PlacementRequest, host: HostRecord): number {
  if (host.lostAt !== null) return 2;
  return serves(host, imageBy(requested, host.facts) ?? "") ? 0 : 1;
}

function imageBy({ runsOn }: PlacementRequest, facts: HostFacts): string | undefined {
  return runsOn !== undefined && Object.hasOwn(facts.labels, runsOn) ? facts.labels[runsOn] : undefined;
}

function placeBy(requested: PlacementRequest, facts: HostFacts): Placement | null {
  const image = imageBy(requested, facts);
  if (image === undefined) return null;
  const defaults = (facts.images[image] ?? unfitThere({ facts }, image))?.defaults;
  if (defaults === undefined) return null;
  const label = requested.runsOn ?? image;
  if (requested.size === undefined) return { label, image, size: defaults };
  const named = Object.hasOwn(facts.sizes, requested.size) ? facts.sizes[requested.size] : undefined;
  if (named === undefined) return null;
  return { label, image, size: sizeOf(named, defaults) };
}

function labelsOfAll(map: ImageMap, others: readonly HostRecord[]): string[] {
  return [...new Set([...knownLabels(map), ...others.flatMap(({ facts }) => Object.keys(facts.labels))])];
}

function unknownSize(size: string, others: readonly HostRecord[]): SolsticeError {
  const sizes = [...new Set(others.flatMap(({ facts }) => Object.keys(facts.sizes)))];
  return new SolsticeError("usage", `No size is named "${size}"${didYouMean(size, sizes)}.`, {
    remedy: `Known sizes: ${sizes.join(", ")}.`,
  });
}

/** True when a host holds its lease and runs the image, ready or not. */
export function serves(host: Pick<HostRecord, "lostAt" | "facts">, image: string): boolean {
  return host.lostAt === null && Object.hasOwn(host.facts.images, image);
}
