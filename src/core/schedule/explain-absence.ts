import { type HostRecord, unfitThere } from "../hosts/host-facts.ts";
import type { Backend } from "../job/job.ts";
import type { Explanation } from "./explain.ts";

/** The fields of a host that decide which images it runs. */
export type KnownHost = Pick<HostRecord, "hostId" | "lostAt" | "facts">;

/** Largest number of hosts that a message names. */
const maxNamed = 5;

/**
 * Explains the wait of a job whose image no live host runs: it waits for a host with the needed backend (`no_backend`),
 * or for a host with the image in its map (`no_host`). `live` are this host and the others that hold their lease.
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
  const reasons = [
    ...named(unable, (host) => `${host.hostId} cannot run it (${unfitThere(host, image)?.problem})`),
    ...named(
      able.filter((host) => !unable.includes(host)),
      ({ hostId, facts }) =>
        `${hostId} has the needed backend ${facts.backend}, but not the image; add the image to its image map`,
    ),
    ...named(lostServers, servedUntil),
  ];
  const message = `No live host serves image ${image}: ${reasons.join(", ") || inNoMap}.`;
  return { constraint: "no_host", message, ...unknown };
}

/** The remedy for an image that is in no map any more, and the other end of the wait. */
const inNoMap =
  "no image map has it. Add the image to a map and reload (SIGHUP), so that the job can start; otherwise the job waits until it is cancelled";

const unknown = { estimatedStartAt: null };

/** According to the hosts' maps, which should agree. */
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
  const before = lostServers.length === 0 ? "" : ` ${named(lostServers, servedUntil).join(", ")}.`;
  return (
    `Image ${image} needs a host with backend ${needs}, but no live host has that backend: ${have.join(", ")}.${before} ` +
    `The job waits until such a host (HYPERVISOR=${needs}), with the image in its map, is started on the same PostgreSQL, or until the job is cancelled.`
  );
}

function servedUntil({ hostId, lostAt }: KnownHost): string {
  return `${hostId} served it until ${new Date(lostAt ?? 0).toISOString()}`;
}

function named(hosts: readonly KnownHost[], textOf: (host: KnownHost) => string): string[] {
  const more = hosts.length - maxNamed;
  return [...hosts.slice(0, maxNamed).map(textOf), ...(more > 0 ? [`and ${more} more`] : [])];
}
