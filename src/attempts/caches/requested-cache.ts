import { createHash } from "node:crypto";
import { isExpansionOf, parseCacheKey } from "../../core/cache/key.ts";
import type { CacheRequest } from "../../core/cache/request.ts";
import { cacheScopeOf, readableRefs } from "../../core/cache/scope.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import { cachesOf } from "../../core/request/job-request.ts";
import type { CacheBucket, CacheOfAttempt } from "../../store/files/caches.ts";
import type { CacheContext } from "./cache-context.ts";

/** One cache of a job's request, with where its entries are. */
export interface RequestedCache extends CacheOfAttempt {
  readonly requested: CacheRequest;
  readonly bucket: CacheBucket;
  /** The refs that may be read, the job's own first. */
  readonly refs: readonly string[];
}

/** Who asks: a job in one of its attempts. */
export interface CacheAsker {
  readonly job: Job;
  readonly attempt: number;
}

/** The cache `index` of the caller's request. Throws `usage` where the request has no such cache. */
export function requestedCache(
  context: Pick<CacheContext, "place" | "sharedRefs">,
  { job, attempt }: CacheAsker,
  index: number,
): RequestedCache {
  const requested = cachesOf(job.request)[index];
  if (requested === undefined) throw new SolsticeError("usage", `The job's request has no cache ${index}.`);
  const scope = cacheScopeOf(job);
  return {
    jobId: job.id,
    attempt,
    index,
    requested,
    bucket: { scope, pathsId: pathsIdOf(requested.paths), place: context.place },
    refs: readableRefs(scope.ref, context.sharedRefs),
  };
}

/** Whether the job may save caches: never a pull request from a fork, whatever its guest says. */
export function maySaveCaches({ request }: Pick<Job, "request">): boolean {
  return !request.from_fork;
}

/** Throws `usage` unless the guest made `key` of `template`: so it gets at no other key than its request names. */
export function requireExpansion(key: string, template: string): string {
  const parsed = parseCacheKey(template);
  if ("parts" in parsed && isExpansionOf(key, parsed.parts)) return key;
  throw new SolsticeError("usage", `This is no key that can be made of ${template}.`);
}

/** Stands for a list of paths; which one is said by 128 bits. */
function pathsIdOf(paths: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(paths)).digest("hex").slice(0, 32);
}
