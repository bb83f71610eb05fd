import { createHash } from "node:crypto";
import { stepNamesOf } from "../../core/job/step-names.ts";
import { awaitClaims, claimJob } from "../../store/jobs/jobs.ts";
import { type Context, isDraining } from "../context.ts";
import { bootstrapToken } from "../identity.ts";

/** Claims that run at the same time at most. */
const claimsAtOnce = 32;

/** Claims jobs for this host, and knows of which claims it never heard. */
export interface Claimer {
  /**
   * Claims some jobs, all of which this host has room for. Returns how many it got: others may have been faster. Rejects
   * when the store fails, after every claim has ended or its answer was lost.
   */
  claim(jobIds: readonly string[]): Promise<number>;
  /** Resolves when no claim is under way; one that began after a change of the host's mind sees it. */
  ended(): Promise<void>;
  /** Resolves when no claim whose answer was lost can still succeed: from then on the store tells all that this host holds. */
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
        // The host may have been told to stop, or have run out of space, in between.
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

/** Whether this host starts jobs at all now. */
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
