import { networkGateway } from "../../hypervisor/libvirt/network.ts";
import type { LibvirtClient } from "../../libvirt/index.ts";
import { createRepositoryReach, type ReachedJob, type ReachParts } from "./repository-reach.ts";

/** How long one name may take, in ms. */
const apiRetryMs = 2000;

/** How many servers are looked at. */
const serversMax = 20;

/** Why guests of this host cannot reach the repositories of these jobs: each reason once. Nothing is logged. */
export async function closedRepositories(
  jobs: readonly ReachedJob[],
  parts: Pick<ReachParts, "config" | "lookUp"> & { readonly client: LibvirtClient; readonly network: string },
): Promise<string[]> {
  const { client, network } = parts;
  const hypervisor = {
    backend: "libvirt" as const,
    runnerHost: () => networkGateway(client, network),
  };
  const reach = createRepositoryReach({ ...parts, hypervisor, apiRetryMs, log: { warn: () => {} } });
  const reasons = new Set<string>();
  for (const job of reach.distinct(jobs).slice(0, serversMax)) {
    const reason = await reach.whyUnreachable(job);
    if (reason !== null) reasons.add(reason);
  }
  return [...reasons];
}
