import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HostRecord } from "../../core/hosts/host-facts.ts";
import type { HostCapacitySchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { type ActiveJobs, countActiveByHost, listHosts } from "../../store/hosts/hosts.ts";
import type { Context } from "../context.ts";

type HostCapacity = MessageInitShape<typeof HostCapacitySchema>;

/** Milliseconds for which a lost host without jobs is still shown. */
const shownAfterLossMs = 7 * 24 * 60 * 60 * 1000;

/** Every host that shares the store, this host first, then by name. */
export async function hostsView({ store, identity }: Context): Promise<HostCapacity[]> {
  const [hosts, active] = [await listHosts(store), await countActiveByHost(store)];
  const now = Date.now();
  const rank = (host: HostRecord) => (host.hostId === identity.hostId ? 0 : 1);
  return hosts
    .filter((host) => host.lostAt === null || now - host.lostAt < shownAfterLossMs || active.has(host.hostId))
    .sort((a, b) => rank(a) - rank(b) || (a.hostId < b.hostId ? -1 : 1))
    .map((host) => hostCapacity(host, active.get(host.hostId) ?? { jobs: 0, onHold: 0 }));
}

function hostCapacity(host: HostRecord, active: ActiveJobs): HostCapacity {
  const { facts } = host;
  // As in `countedSlots`: guests on hold beyond the host's maximum count as running.
  const onHold = Math.min(active.onHold, facts.maxHolds);
  const labels = Object.keys(facts.labels).filter((label) =>
    Object.hasOwn(facts.images, facts.labels[label] ?? ""),
  );
  return {
    hostId: host.hostId,
    hostname: facts.hostname,
    backend: facts.backend,
    ...condition(host),
    maxConcurrency: facts.maxConcurrency,
    running: active.jobs - onHold,
    onHold,
    maxHolds: facts.maxHolds,
    renewedMs: BigInt(host.renewedAt),
    labels,
    readyLabels: labels.filter((label) => facts.images[facts.labels[label] ?? ""]?.ready),
    version: facts.version,
    apiUrl: facts.apiUrl ?? "",
  };
}

/** The condition that keeps a host from starting jobs, the most final first. */
function condition({ lostAt, facts }: HostRecord): { state: string; message: string } {
  if (lostAt !== null) {
    const isShutDown = facts.draining && facts.restartGraceSeconds === null;
    const how = isShutDown
      ? "The host was shut down."
      : "The lease of the host expired; its jobs were taken over.";
    return { state: "lost", message: how };
  }
  if (facts.restartGraceSeconds !== null) return { state: "restarting", message: restarting(facts) };
  if (facts.drainRequestedAt !== null) {
    return {
      state: "draining",
      message: "The host is draining; to end that, run `solstice drain --end` on it.",
    };
  }
  if (facts.draining) return { state: "draining", message: "The host ends its jobs and starts no more." };
  if (facts.paused !== null) return { state: "paused", message: facts.paused };
  return { state: "serving", message: "" };
}

function restarting({ restartGraceSeconds: grace }: HostRecord["facts"]): string {
  return `The host is restarting; its guests keep running. Other hosts take over its jobs unless it returns within ${grace} s.`;
}
