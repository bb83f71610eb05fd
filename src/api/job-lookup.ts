import { SolsticeError } from "../core/errors.ts";
import type { Job } from "../core/job/job.ts";
import { findJobByRequest, findJobs } from "../store/jobs/jobs.ts";
import type { Store } from "../store/store.ts";

/** The shortest beginning of an id that is looked up. */
const prefixCharsMin = 4;

/** How many candidates an error names. */
const namedCandidates = 5;

/** A request's id, as a producer chose it: no beginning of a job's id is that long. */
const requestIdPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The job whose id is, or alone begins with, `idOrPrefix`. A guest's name (`job-…`, as `virsh list` shows it) is taken
 * too, and a whole request id: whoever published a request knows no other. Throws `usage`, `not_found`, or `conflict` with the candidates.
 */
export async function lookUpJob(store: Store, idOrPrefix: string): Promise<Job> {
  const requestId = idOrPrefix.trim().toLowerCase();
  if (requestIdPattern.test(requestId)) return lookUpRequest(store, requestId);
  const prefix = idOrPrefix.trim().toLowerCase().replace(/^job-/, "");
  if (!/^[0-9a-z-]{1,40}$/.test(prefix) || prefix.length < prefixCharsMin) {
    throw new SolsticeError("usage", `"${idOrPrefix.slice(0, 60)}" is not a job id.`, {
      remedy: `Give the id, or at least its first ${prefixCharsMin} characters; \`solstice jobs\` lists them.`,
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
  throw new SolsticeError("not_found", `There is no job of the request ${requestId}.`, {
    remedy: "It may still wait in the broker, or have been refused: `solstice jobs --rejected`.",
  });
}

function notFound(prefix: string): SolsticeError {
  return new SolsticeError("not_found", `There is no job ${prefix}.`, {
    remedy: "`solstice jobs` lists them.",
  });
}

function ambiguous(prefix: string, jobs: readonly Job[]): SolsticeError {
  const names = jobs.slice(0, namedCandidates).map((job) => job.id);
  if (jobs.length > namedCandidates) names.push("…");
  return new SolsticeError("conflict", `Several jobs begin with ${prefix}: ${names.join(", ")}.`, {
    remedy: "Give more characters.",
  });
}
