import { type HostRecord, unfitThere } from "../hosts/host-facts.ts";
import type { Backend } from "../job/job.ts";
import type { Explanation } from "./explain.ts";

/** A host as far as it tells who runs which image. */
export type KnownHost = Pick<HostRecord, "hostId" | "lostAt" | "facts">;

/** The most hosts that a message names. */
const maxNamed = 5;

/**
 * Says why a job waits whose image no live host runs: for a host with the backend that it needs (`no_backend`), or for one
 * that has the image in its map (`no_host`). `live` are this host and the others that hold their lease.
 */
export function explainAbsence(
  image: string,
  { live, lost }: { live: readonly KnownHost[]; lost: readonly KnownHost[] },
): Explanation {
  const needsNow = neededBackends(image, live);
  const needs = needsNow.length > 0 ? needsNow : neededBackends(image, lost);
  const able = live.filter(({ facts }) => needs.includes(facts.backend));
  const lostServers = lost.filter(({ facts }) => Object.hasOwn(facts.images, image));
  if (needs.length > 0 && able.length === 0) {
    return { constraint: "no_backend", message: noBackend(image, { needs, live, lostServers }), ...unknown };
  }
  const unable = live.filter((host) => unfitThere(host, image)?.needs === null);
  const who = [
    ...named(unable, (host) => `${host.hostId} cannot run it (${unfitThere(host, image)?.problem})`),
    ...named(
      able.filter((host) => !unable.includes(host)),
      ({ hostId, facts }) =>
        `${hostId} has backend ${facts.backend}, which it needs, but not the image; add it to the image map there`,
    ),
    ...named(lostServers, didUntil),
  ];
  const message = `No live host serves image ${image}: ${who.join(", ") || inNoMap}.`;
  return { constraint: "no_host", message, ...unknown };
}

/** What an operator can do about an image that was taken out of every map, and what else ends the wait. */
const inNoMap =
  "it is in no image map. Add it to one and reload (SIGHUP): the job starts then. Otherwise the job waits until it is cancelled";

const unknown = { estimatedStartAt: null };

/** By the hosts' maps; they should agree. */
function neededBackends(image: string, hosts: readonly KnownHost[]): Backend[] {
  const needs = hosts.map((host) => unfitThere(host, image)?.needs ?? null);
  return [...new Set(needs)].filter((backend) => backend !== null);
}

function noBackend(
  image: string,
  known: { needs: Backend[]; live: readonly KnownHost[]; lostServers: readonly KnownHost[] },
): string {
  const { live, lostServers } = known;
  const needs = known.needs.join(" or ");
  const have = named(live, ({ hostId, facts }) => `host ${hostId} has ${facts.backend}`);
  const before = lostServers.length === 0 ? "" : ` ${named(lostServers, didUntil).join(", ")}.`;
  return (
    `Image ${image} needs a host with backend ${needs}, and no live host has that: ${have.join(", ")}.${before} ` +
    `The job waits until one with the image in its map is started on the same PostgreSQL (HYPERVISOR=${needs}), or until it is cancelled.`
  );
}

function didUntil({ hostId, lostAt }: KnownHost): string {
  return `${hostId} did until ${new Date(lostAt ?? 0).toISOString()}`;
}

function named(hosts: readonly KnownHost[], say: (host: KnownHost) => string): string[] {
  const more = hosts.length - maxNamed;
  return [...hosts.slice(0, maxNamed).map(say), ...(more > 0 ? [`and ${more} more`] : [])];
}
