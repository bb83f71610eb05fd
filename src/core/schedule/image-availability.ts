import { type HostRecord, unfitThere } from "../hosts/host-facts.ts";
import type { Backend } from "../job/job.ts";
import { serves } from "./placement.ts";

/** State of an image that this host cannot use now. */
export type ImageHere =
  /**
   * Not in the map; failed for good (or no image for this backend); or still being prepared. `message`: the last error.
   */
  | { readonly kind: "absent" | "failed" | "pending"; readonly message: string }
  /** The image is for hosts with another backend. */
  | { readonly kind: "elsewhere"; readonly needs: Backend };

/**
 * The reason why no host will run the image of a new job, or null while one may: a live host that runs it, or a needed
 * backend that no live host has (such a host may start later).
 */
export function whyRefused(image: string, here: ImageHere, others: readonly HostRecord[]): string | null {
  if (here.kind === "pending" || others.some((host) => serves(host, image))) return null;
  if (here.kind === "failed") return here.message;
  const live = others.filter(({ lostAt }) => lostAt === null);
  const needs =
    here.kind === "elsewhere" ? here.needs : live.map((host) => unfitThere(host, image)?.needs).find(Boolean);
  const unable = live.find(
    (host) => unfitThere(host, image)?.needs === null && (!needs || needs === host.facts.backend),
  );
  return unable === undefined ? null : (unfitThere(unable, image)?.problem ?? null);
}

/**
 * The reason why the image of a waiting job will not become available, or null while it may: at once with another host
 * that has it ready; for `timeoutMs` with a host that served it before, or with any preparation. A host judges only
 * images that it could run by its map. A job whose image is absent there, or needs another backend, waits for another
 * host or a new map without a time limit. `waitingSince`: when this process first saw the job waiting.
 */
export function whyUnavailable(
  image: string,
  here: ImageHere,
  known: { others: readonly HostRecord[]; waitingSince: number; timeoutMs: number; now: number },
): string | null {
  const { others, timeoutMs, now } = known;
  if (here.kind === "absent" || here.kind === "elsewhere") return null;
  if (others.some((host) => serves(host, image) && host.facts.images[image]?.ready)) return null;
  const lastServedAt = Math.max(...others.map((host) => servedUntil(host, image, now)));
  const isOnlyOurs = lastServedAt === Number.NEGATIVE_INFINITY;
  if (isOnlyOurs && here.kind === "failed") return `Image ${image} cannot be used: ${here.message}`;
  // Hosts that serve the image but cannot prepare it are no better than this one: their time runs from the job's
  // beginning.
  const lostAt = lastServedAt < now ? lastServedAt : known.waitingSince;
  if (now - Math.max(known.waitingSince, lostAt) < timeoutMs) return null;
  const detail = here.message === "" ? "" : ` Its last error: ${here.message}`;
  return `Image ${image} did not become ready within ${Math.round(timeoutMs / 1000)} s.${detail}`;
}

function servedUntil(host: HostRecord, image: string, now: number): number {
  if (!Object.hasOwn(host.facts.images, image)) return Number.NEGATIVE_INFINITY;
  return host.lostAt ?? now;
}
