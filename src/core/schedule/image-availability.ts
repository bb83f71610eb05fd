import { type HostRecord, unfitThere } from "../hosts/host-facts.ts";
import type { Backend } from "../job/job.ts";
import { serves } from "./placement.ts";

/** What this host knows of an image that it cannot use now. */
export type ImageHere =
  /** Not in the map; will not come by itself (or is none for its backend); or still hoped for. `message`: the last error. */
  | { readonly kind: "absent" | "failed" | "pending"; readonly message: string }
  /** It is for hosts with another backend. */
  | { readonly kind: "elsewhere"; readonly needs: Backend };

/**
 * Why nobody will run the image of a new job, or null while there is hope: a live host that runs it, or a backend that it needs
 * and that no live host has.
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
 * Why the image of a waiting job will not come, or null while there is hope: another host that runs it gives hope at
 * once, one that did, and any preparation, for `timeoutMs`. A host judges only images that it could run by its map: a job whose
 * image is absent there waits for another host, or for the image to be back in a map, for as long as that takes; the same for an
 * image that needs another backend. `waitingSince`: the job's age as this process has seen it.
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
