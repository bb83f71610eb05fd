import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { type ReachableNetworks, targetOfRepository, whyUnreachable } from "../../core/hosts/reachability.ts";
import type { Job } from "../../core/job/job.ts";
import type { Verdict } from "../../core/job/verdict.ts";
import type { Log } from "../../core/log.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import { createLookUps, type LookUp, lookUpHost } from "./look-up.ts";

/** The fields of a job that decide how its guest reaches the repository. */
export type ReachedJob = Pick<Job, "id" | "image"> & { readonly request: Pick<Job["request"], "repo_url"> };

/** The reachability of jobs' repositories from guests of this host. */
export interface RepositoryReach {
  /**
   * The reason why this host's firewall blocks the job's repository, and the setting that allows it. Null
   * when the repository is not blocked, or the answer takes too long. Never fails.
   */
  whyUnreachable(job: ReachedJob): Promise<string | null>;
  /** One job for each server and image, of the jobs that need network access from this host. */
  distinct<Reached extends ReachedJob>(jobs: readonly Reached[]): Reached[];
  /** The last answer for such a job, for callers that cannot wait. */
  lastAnswer(job: ReachedJob): string | null;
  /** Logs the reason, once for each server. */
  report(job: ReachedJob): Promise<void>;
}

/** The dependencies of {@link createRepositoryReach}. */
export interface ReachParts {
  readonly config: Pick<OrchestratorConfig, "firewall" | "guestLanAccess" | "guestHostPorts" | "imageMap">;
  readonly hypervisor: Pick<Hypervisor, "backend" | "runnerHost">;
  readonly log: Pick<Log, "warn">;
  /** Default: the system's resolver. */
  readonly lookUp?: LookUp;
  /** Maximum time of an answer, in ms, because a caller waits for it. */
  readonly apiRetryMs?: number;
}

/** Short, so that a DNS server without answers does not make submissions slow. */
const defaultTimeoutMs = 300;

/** Maximum number of cached answers and logged servers, which come from requests. */
const answersMax = 1000;

/** Creates the answers for the guests of one host, according to its firewall configuration. */
export function createRepositoryReach(parts: ReachParts): RepositoryReach {
  const lookUps = createLookUps(parts.lookUp ?? lookUpHost);
  const answers = new Map<string, string | null>();
  const logged = new Set<string>();
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
      if (reason === null || logged.has(key)) return;
      if (logged.size >= answersMax) logged.clear();
      logged.add(key);
      parts.log.warn({ jobId: job.id, reason }, "guests of this host cannot reach the repository of a job");
    },
  };
  return reach;
}

/** Adds the reason to the verdict of a failed checkout, if the repository was blocked. Idempotent. */
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

/**
 * The network place of a job's guest; null when the job needs no access, or would not run as a guest of this
 * host.
 */
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
  const late = sleep(parts.apiRetryMs ?? defaultTimeoutMs, [], { signal: end.signal });
  const addresses = await Promise.race([lookUps(target.host), late]);
  end.abort();
  late.catch(() => {});
  return whyUnreachable(target, addresses, await reachableNetworks(parts, egress));
}

async function reachableNetworks(
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
