import { SolsticeError } from "../core/errors.ts";
import type { Job } from "../core/job/job.ts";
import { findJobByRequest, findJobs } from "../store/jobs/jobs.ts";
import type { Store } from "../store/store.ts";

/** Minimum length of an id prefix that is looked up. */
const prefixCharsMin = 4;

/** Maximum number of candidates that an error names. */
const namedCandidates = 5;

/** A request id, as the producer chose it; longer than any prefix of a job id. */
const requestIdPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Finds the job with this id, or the only job whose id begins with `idOrPrefix`. Also accepts the name of a
 * guest (`job-…`, as `virsh list` shows it) and a complete request id, which is the only id that the producer
 * of a request has. Throws `usage`, `not_found`, or `conflict` with the candidates.
 */
export async function lookUpJob(store: Store, idOrPrefix: string): Promise<Job> {
  const requestId = idOrPrefix.trim().toLowerCase();
  if (requestIdPattern.test(requestId)) return lookUpRequest(store, requestId);
  const prefix = idOrPrefix.trim().toLowerCase().replace(/^job-/, "");
  if (!/^[0-9a-z-]{1,40}$/.test(prefix) || prefix.length < prefixCharsMin) {
    throw new SolsticeError("usage", `"${idOrPrefix.slice(0, 60)}" is not a job id.`, {
      remedy: `Use the id, or at least its first ${prefixCharsMin} characters; \`solstice jobs\` lists the ids.`,
    });
  }
  const jobs = await findJobs(store, prefix, namedCandidates + 1);
  const [first, second] = jobs;
  const exact = jobs.find((job) => job.id === prefix);
  if (exact) return exact;
  if (first && !second) return first;
  throw first ? ambiguous(prefix, jobs) : notFound(prefix);
}

async function lookUpRequest(store: Store, requestId: string): Promise<Job> {
  const job = await findJobByRequest(store, requestId);
  if (job) return job;
  throw new SolsticeError("not_found", `There is no job for request ${requestId}.`, {
    remedy: "The request may still wait in the broker, or was rejected: see `solstice jobs --rejected`.",
  });
}

function notFound(prefix: string): SolsticeError {
  return new SolsticeError("not_found", `There is no job ${prefix}.`, {
    remedy: "`solstice jobs` lists all jobs.",
  });
}

function ambiguous(prefix: string, jobs: readonly Job[]): SolsticeError {
  const names = jobs.slice(0, namedCandidates).map((job) => job.id);
  if (jobs.length > namedCandidates) names.push("…");
  return new SolsticeError("conflict", `Several job ids begin with ${prefix}: ${names.join(", ")}.`, {
    remedy: "Use more characters of the id.",
  });
}
