import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { type ReachableNetworks, targetOfRepository, whyUnreachable } from "../../core/hosts/reachability.ts";
import type { Job } from "../../core/job/job.ts";
import type { Verdict } from "../../core/job/verdict.ts";
import type { Log } from "../../core/log.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import { createLookUps, type LookUp, lookUpHost } from "./look-up.ts";

/** What of a job decides which way its guest goes. */
export type ReachedJob = Pick<Job, "id" | "image"> & { readonly request: Pick<Job["request"], "repo_url"> };

/** Whether guests of this host can reach their jobs' repositories. */
export interface RepositoryReach {
  /**
   * Why this host closes the way to the job's repository, and what opens it; null where it does not, and where that is not
   * known soon. Never fails.
   */
  whyUnreachable(job: ReachedJob): Promise<string | null>;
  /** One job for each server and image among those that need a way from here. */
  distinct<Reached extends ReachedJob>(jobs: readonly Reached[]): Reached[];
  /** The last answer for such a job, for callers that cannot wait. */
  lastAnswer(job: ReachedJob): string | null;
  /** Logs such a reason, once for each server. */
  report(job: ReachedJob): Promise<void>;
}

/** What {@link createRepositoryReach} looks at. */
export interface ReachParts {
  readonly config: Pick<OrchestratorConfig, "firewall" | "guestLanAccess" | "guestHostPorts" | "imageMap">;
  readonly hypervisor: Pick<Hypervisor, "backend" | "runnerHost">;
  readonly log: Pick<Log, "warn">;
  /** The default asks the system. */
  readonly lookUp?: LookUp;
  /** How long an answer may take, in ms: somebody waits for it. */
  readonly apiRetryMs?: number;
}

/** A submission must not become slow by a DNS server that does not answer. */
const usualPatienceMs = 300;

/** How many answers and reported servers are remembered: they come from requests. */
const answersMax = 1000;

/** Answers for the guests of one host, as its firewall is configured. */
export function createRepositoryReach(parts: ReachParts): RepositoryReach {
  const lookUps = createLookUps(parts.lookUp ?? lookUpHost);
  const answers = new Map<string, string | null>();
  const reported = new Set<string>();
  const reach: RepositoryReach = {
    async whyUnreachable(job) {
      const place = placeOf(parts, job);
      if (place === null) return null;
      const answer = await answerFor(parts, { ...place, lookUps }).catch(() => null);
      if (answers.size >= answersMax) answers.clear();
      answers.set(place.key, answer);
      return answer;
    },
    distinct(jobs) {
      const placed = jobs.flatMap((job) => {
        const key = placeOf(parts, job)?.key;
        return key === undefined ? [] : [[key, job] as const];
      });
      return [...new Map(placed).values()];
    },
    lastAnswer: (job) => answers.get(placeOf(parts, job)?.key ?? "") ?? null,
    async report(job) {
      const reason = await reach.whyUnreachable(job);
      const key = placeOf(parts, job)?.key ?? "";
      if (reason === null || reported.has(key)) return;
      if (reported.size >= answersMax) reported.clear();
      reported.add(key);
      parts.log.warn({ jobId: job.id, reason }, "guests of this host cannot reach a job's repository");
    },
  };
  return reach;
}

/** The verdict of a failed checkout with why the way was closed, where it was. Repeating it adds nothing. */
export async function explainCheckout(
  reach: Pick<RepositoryReach, "whyUnreachable">,
  job: ReachedJob,
  ended: Verdict,
): Promise<Verdict> {
  if (ended.reason !== "checkout_failed") return ended;
  const reason = await reach.whyUnreachable(job);
  if (reason === null || ended.message.includes(reason)) return ended;
  return { ...ended, message: `${ended.message} ${reason}` };
}

/** Where a job's guest would go from here; null where it needs no way, or is no guest of this host. */
function placeOf({ config, hypervisor }: ReachParts, { image, request }: ReachedJob) {
  const target = request.repo_url === undefined ? null : targetOfRepository(request.repo_url);
  const egress = config.imageMap.images.get(image)?.egress;
  // A job without a guest uses the host's own network.
  if (target === null || egress === undefined || hypervisor.backend === "noop") return null;
  return { target, egress, key: `${target.host} ${target.port} ${image}` };
}

async function answerFor(
  parts: ReachParts,
  place: NonNullable<ReturnType<typeof placeOf>> & { readonly lookUps: LookUp },
): Promise<string | null> {
  const { target, egress, lookUps } = place;
  const end = new AbortController();
  const late = sleep(parts.apiRetryMs ?? usualPatienceMs, [], { signal: end.signal });
  const addresses = await Promise.race([lookUps(target.host), late]);
  end.abort();
  late.catch(() => {});
  return whyUnreachable(target, addresses, await waysOf(parts, egress));
}

async function waysOf(
  { config, hypervisor }: ReachParts,
  egress: ReachableNetworks["egress"],
): Promise<ReachableNetworks | null> {
  if (hypervisor.backend !== "libvirt" || config.firewall === "off") return null;
  const hostAddresses = Object.values(networkInterfaces()).flatMap((cards) => cards ?? []);
  return {
    egress,
    lanAccess: config.guestLanAccess,
    hostPorts: config.guestHostPorts,
    gateway: await hypervisor.runnerHost(),
    hostAddresses: hostAddresses.map(({ address }) => address),
  };
}
