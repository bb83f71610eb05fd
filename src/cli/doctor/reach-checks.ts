import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { closedRepositories } from "../../orchestrator/reach/reach-of-host.ts";
import type { ReachedJob } from "../../orchestrator/reach/repository-reach.ts";
import { openApiSession } from "../api/api-session.ts";
import { oneLine } from "../print/text.ts";
import { type Check, type Finding, ok, warn } from "./check.ts";
import { withClient } from "./libvirt-checks.ts";

/** What the check of guests' ways depends on. */
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

/** How many of the latest jobs are asked for the repositories that they had. */
const jobsLookedAt = 200;

/** What guests reach of the operator's networks and this host, and which repositories of the latest jobs they do not reach. */
export function reachCheck(target: ReachTarget): Check {
  return { name: "guests' ways", run: () => checkReach(target) };
}

async function checkReach(target: ReachTarget): Promise<Finding> {
  if (target.firewall === "off") return ok("Every way is open, with FIREWALL=off.");
  const jobs = await latestJobs(target);
  return withClient(target.libvirtUri, async (client) => {
    const parts = { config: target, client, network: target.libvirtNetwork };
    return judgeWays(target, await closedRepositories(jobs, parts));
  });
}

/** The finding, by why repositories are closed. */
export function judgeWays(
  { guestLanAccess, guestHostPorts }: Pick<ReachTarget, "guestLanAccess" | "guestHostPorts">,
  closed: readonly string[],
): Finding {
  const lan = guestLanAccess.join(", ") || "nothing";
  const ports = guestHostPorts.length > 0 ? `, TCP port ${guestHostPorts.join(", ")}` : "";
  const ways =
    `Guests reach the internet, of your own networks ${lan} (GUEST_LAN_ACCESS), and of this host the runner endpoint, ` +
    `DHCP, DNS${ports} (GUEST_HOST_PORTS).`;
  if (closed.length === 0) return ok(ways);
  const list = closed.map((reason) => `\n${oneLine(reason)}`).join("");
  return warn(
    `${ways} Repositories of the latest jobs are closed to them:${list}`,
    "Set what is named above, and start the orchestrator again; a retry of the jobs then reaches them.",
  );
}

/** The latest jobs of the orchestrator that runs here; none where none answers. */
async function latestJobs({ dataDir, apiToken }: ReachTarget): Promise<ReachedJob[]> {
  try {
    const session = await openApiSession({ dataDir, ...(apiToken !== null && { apiToken }) }, {});
    const { jobs } = await session.ask((client, call) => client.list({ limit: jobsLookedAt }, call));
    return jobs.flatMap(({ id, image, repoUrl }) =>
      repoUrl ? [{ id, image, request: { repo_url: repoUrl } }] : [],
    );
  } catch {
    return [];
  }
}
