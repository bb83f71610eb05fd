import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { closedRepositories } from "../../orchestrator/reach/reach-of-host.ts";
import type { ReachedJob } from "../../orchestrator/reach/repository-reach.ts";
import { openApiSession } from "../api/api-session.ts";
import { oneLine } from "../print/text.ts";
import { type Check, type Finding, ok, warn } from "./check.ts";
import { withClient } from "./libvirt-checks.ts";

/** The settings that {@link reachCheck} needs. */
export type ReachTarget = Pick<
  OrchestratorConfig,
  | "firewall"
  | "guestLanAccess"
  | "guestHostPorts"
  | "imageMap"
  | "dataDir"
  | "apiToken"
  | "libvirtUri"
  | "libvirtNetwork"
>;

/** Number of latest jobs whose repositories are checked. */
const jobsChecked = 200;

/** Checks the guests' access to the operator's networks, this host, and the repositories of the latest jobs. */
export function reachCheck(target: ReachTarget): Check {
  return { name: "guests' ways", run: () => checkReach(target) };
}

async function checkReach(target: ReachTarget): Promise<Finding> {
  if (target.firewall === "off") return ok("Guests reach every address, because FIREWALL=off.");
  const jobs = await latestJobs(target);
  return withClient(target.libvirtUri, async (client) => {
    const parts = { config: target, client, network: target.libvirtNetwork };
    return judgeReach(target, await closedRepositories(jobs, parts));
  });
}

/** The finding. `closed` has the reason for each repository that guests cannot reach. */
export function judgeReach(
  { guestLanAccess, guestHostPorts }: Pick<ReachTarget, "guestLanAccess" | "guestHostPorts">,
  closed: readonly string[],
): Finding {
  const lan = guestLanAccess.join(", ") || "nothing";
  const ports = guestHostPorts.length > 0 ? `, TCP port ${guestHostPorts.join(", ")}` : "";
  const access =
    `Guests reach the internet, of your own networks ${lan} (GUEST_LAN_ACCESS), and of this host the runner endpoint, ` +
    `DHCP, DNS${ports} (GUEST_HOST_PORTS).`;
  if (closed.length === 0) return ok(access);
  const list = closed.map((reason) => `\n${oneLine(reason)}`).join("");
  return warn(
    `${access} Guests cannot reach these repositories of the latest jobs:${list}`,
    "Set the options named above, restart the orchestrator, and retry the jobs.",
  );
}

/** The latest jobs of the orchestrator that runs here; an empty list if none answers. */
async function latestJobs({ dataDir, apiToken }: ReachTarget): Promise<ReachedJob[]> {
  try {
    const session = await openApiSession({ dataDir, ...(apiToken !== null && { apiToken }) }, {});
    const { jobs } = await session.call((client, call) => client.list({ limit: jobsChecked }, call));
    return jobs.flatMap(({ id, image, repoUrl }) =>
      repoUrl ? [{ id, image, request: { repo_url: repoUrl } }] : [],
    );
  } catch {
    return [];
  }
}
