import { networkGateway } from "../../hypervisor/libvirt/network.ts";
import type { LibvirtClient } from "../../libvirt/index.ts";
import { createRepositoryReach, type ReachedJob, type ReachParts } from "./repository-reach.ts";

/** Maximum time for resolving one name, in ms. */
const apiRetryMs = 2000;

/** Maximum number of servers to check. */
const serversMax = 20;

/**
 * The reasons why guests of this host cannot reach the repositories of these jobs, each reason once. Logs
 * nothing.
 */
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
