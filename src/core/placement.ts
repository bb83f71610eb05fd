import { didYouMean } from "./closest-name.ts";
import { isSolsticeError, SolsticeError } from "./errors.ts";
import type { HostFacts, HostRecord } from "./host-facts.ts";
import type { ImageMap } from "./image-map.ts";
import type { GuestSize } from "./job.ts";
import { knownLabels, resolveLabel, resolveSize, unknownLabel } from "./labels.ts";

/** What a request asks for. */
export interface Wish {
  /** Absent: the default label of the host that takes it in. */
  readonly runsOn: string | undefined;
  /** Absent: the image's own size. */
  readonly size: string | undefined;
}

/** Where a request leads: the label that capacity is counted by, the image and the size of the guest. */
export interface Placement {
  readonly label: string;
  readonly image: string;
  readonly size: GuestSize;
}

/**
 * How long a label outlives the last word of the only host that serves it, in ms: a host that is being repaired must not
 * get its messages dead-lettered. Its jobs wait, and `explain` says for whom.
 */
export const hostMemoryMs = 7 * 24 * 60 * 60 * 1000;

/**
 * Resolves what a request asks for by this host's map; what that does not know, by the other hosts' facts: those that hold
 * their lease first, then those heard of within {@link hostMemoryMs}. Throws `unknown_label`, naming the labels of all, or
 * `usage` for a size that nobody who has the label knows.
 */
export function place(
  wish: Wish,
  known: { map: ImageMap; others: readonly HostRecord[]; now: number },
): Placement {
  const { map } = known;
  const others = known.others
    .filter((host) => known.now - host.renewedAt < hostMemoryMs)
    .sort((a, b) => Number(a.lostAt !== null) - Number(b.lostAt !== null));
  const here = placeHere(wish, map);
  if (!(here instanceof SolsticeError)) return here;
  for (const { facts } of others) {
    const there = placeBy(wish, facts);
    if (there !== null) return there;
  }
  const isLabelKnown = here.code !== "unknown_label" || others.some(({ facts }) => imageBy(wish, facts));
  if (!isLabelKnown) throw unknownLabel(wish.runsOn ?? map.defaultLabel, labelsOfAll(map, others));
  throw here.code === "usage" ? here : unknownSize(wish.size ?? "", others);
}

/** {@link place} by one map alone; the error is given, not thrown, as others may know better. */
export function placeHere(wish: Wish, map: ImageMap): Placement | SolsticeError {
  try {
    const { label, image } = resolveLabel(map, wish.runsOn);
    return { label, image: image.name, size: resolveSize(map, image, wish.size) };
  } catch (error) {
    if (isSolsticeError(error, "unknown_label") || isSolsticeError(error, "usage")) return error;
    throw error;
  }
}

function imageBy({ runsOn }: Wish, facts: HostFacts): string | undefined {
  return runsOn !== undefined && Object.hasOwn(facts.labels, runsOn) ? facts.labels[runsOn] : undefined;
}

function placeBy(wish: Wish, facts: HostFacts): Placement | null {
  const image = imageBy(wish, facts);
  const defaults = image === undefined ? undefined : facts.images[image]?.defaults;
  if (image === undefined || defaults === undefined) return null;
  const label = wish.runsOn ?? image;
  if (wish.size === undefined) return { label, image, size: defaults };
  const named = Object.hasOwn(facts.sizes, wish.size) ? facts.sizes[wish.size] : undefined;
  if (named === undefined) return null;
  return { label, image, size: { ...named, diskGb: named.diskGb ?? defaults.diskGb } };
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

/** Whether a host holds its lease and has the image in its map, ready or not. */
export function serves(host: Pick<HostRecord, "lostAt" | "facts">, image: string): boolean {
  return host.lostAt === null && Object.hasOwn(host.facts.images, image);
}

/** What this host knows of an image that it cannot use now. */
export interface ImageHere {
  /** Not in the map; will not come by itself; or still hoped for. */
  readonly kind: "absent" | "failed" | "pending";
  /** The last error, or an empty string. */
  readonly message: string;
}

/**
 * Why the image of a waiting job will not come, or null while there is hope: another host that serves it gives hope at
 * once, one that did, and any preparation, for `timeoutMs`. `waitingSince`: the job's age as this process has seen it.
 */
export function hopeless(
  image: string,
  here: ImageHere,
  known: { others: readonly HostRecord[]; waitingSince: number; timeoutMs: number; now: number },
): string | null {
  const { others, timeoutMs, now } = known;
  if (others.some((host) => serves(host, image) && host.facts.images[image]?.ready)) return null;
  const lastServedAt = Math.max(...others.map((host) => servedUntil(host, image, now)));
  const isOnlyOurs = lastServedAt === Number.NEGATIVE_INFINITY;
  if (isOnlyOurs && here.kind === "absent") return `Image ${image} is no longer in the image map.`;
  if (isOnlyOurs && here.kind === "failed") return `Image ${image} cannot be used: ${here.message}`;
  // Hosts that serve it and cannot prepare it give no more hope than this one: their time runs from the job's beginning.
  const lostAt = lastServedAt < now ? lastServedAt : known.waitingSince;
  if (now - Math.max(known.waitingSince, lostAt) < timeoutMs) return null;
  const detail = here.message === "" ? "" : ` Its last error: ${here.message}`;
  return `Image ${image} did not become ready within ${Math.round(timeoutMs / 1000)} s.${detail}`;
}

function servedUntil(host: HostRecord, image: string, now: number): number {
  if (!Object.hasOwn(host.facts.images, image)) return Number.NEGATIVE_INFINITY;
  return host.lostAt ?? now;
}
