import { createHash } from "node:crypto";
import { stepNamesOf } from "../../core/job/step-names.ts";
import { awaitClaims, claimJob } from "../../store/jobs/jobs.ts";
import { type Context, isDraining } from "../context.ts";
import { bootstrapToken } from "../identity.ts";

/** Maximum number of concurrent claims. */
const claimsAtOnce = 32;

/** Claims jobs for this host, and records claims whose answer was lost. */
export interface Claimer {
  /**
   * Claims some jobs, for all of which this host has room. Returns the number of successful claims: other
   * hosts may have been faster. Rejects when the store fails, after every claim has ended or its answer was
   * lost.
   */
  claim(jobIds: readonly string[]): Promise<number>;
  /**
   * Resolves when no claim is in flight; a claim that begins after a change of the host's phase reads the new
   * phase.
   */
  ended(): Promise<void>;
  /**
   * Resolves when no claim whose answer was lost can still succeed: from then on the store has all jobs of
   * this host.
   */
  settle(): Promise<void>;
}

/** Creates the claimer of this process, the only one that claims for this host. */
export function createClaimer(context: Context): Claimer {
  const unheard = new Set<string>();
  let underWay: Promise<unknown> = Promise.resolve();
  const claimOne = async (jobId: string): Promise<boolean> => {
    unheard.add(jobId);
    const isOurs = await claim(context, jobId);
    unheard.delete(jobId);
    return isOurs;
  };
  return {
    async claim(jobIds) {
      let count = 0;
      for (let from = 0; from < jobIds.length; from += claimsAtOnce) {
        // The host may have begun to stop, or have run out of space, in between.
        if (!startsJobs(context)) break;
        const claims = Promise.allSettled(jobIds.slice(from, from + claimsAtOnce).map(claimOne));
        underWay = claims;
        const results = await claims;
        for (const result of results) {
          if (result.status === "rejected") throw result.reason;
          if (result.value) count += 1;
        }
      }
      return count;
    },
    ended: async () => void (await underWay),
    async settle() {
      if (unheard.size === 0) return;
      await awaitClaims(context.store, [...unheard]);
      unheard.clear();
    },
  };
}

/** True when this host starts jobs now. */
export function startsJobs(context: Context): boolean {
  return !isDraining(context) && context.pausedReason() === null;
}

async function claim(context: Context, jobId: string): Promise<boolean> {
  const claimed = await claimJob(context.store, {
    jobId,
    hostId: context.identity.hostId,
    at: Date.now(),
    backend: context.hypervisor.backend,
    prepare: (job) => ({
      bootstrapTokenHash: hashOf(bootstrapToken(context.identity, job.id, job.attempt)),
      stepNames: stepNamesOf(job.request),
    }),
  });
  if (claimed) context.log.info({ jobId, attempt: claimed.attempt, label: claimed.label }, "claimed a job");
  return claimed !== null;
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
