import { createHash } from "node:crypto";
import { isExpansionOf, parseCacheKey } from "../../core/cache/key.ts";
import type { CacheRequest } from "../../core/cache/request.ts";
import { cacheScopeOf, readableRefs } from "../../core/cache/scope.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import { cachesOf } from "../../core/request/job-request.ts";
import type { CacheBucket, CacheOfAttempt } from "../../store/files/caches.ts";
import type { CacheContext } from "./cache-context.ts";

/** A cache of a job's request, with the place of its entries. */
export interface RequestedCache extends CacheOfAttempt {
  readonly requested: CacheRequest;
  readonly bucket: CacheBucket;
  /** The refs whose entries may be restored, the job's own ref first. */
  readonly refs: readonly string[];
}

/** The caller: a job in one of its attempts. */
export interface CacheAsker {
  readonly job: Job;
  readonly attempt: number;
}

/** Finds cache `index` of the caller's request. Throws `usage` when the request has no such cache. */
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

/** True when the job may save caches: never for a pull request from a fork, independent of its guest. */
export function maySaveCaches({ request }: Pick<Job, "request">): boolean {
  return !request.from_fork;
}

/**
 * Throws `usage` unless `key` is an expansion of `template`: a guest can use only keys that its request
 * names.
 */
export function requireExpansion(key: string, template: string): string {
  const parsed = parseCacheKey(template);
  if ("parts" in parsed && isExpansionOf(key, parsed.parts)) return key;
  throw new SolsticeError("usage", `The key is not an expansion of ${template}.`);
}

/** A short name for a list of paths: 128 bits of a digest. */
function pathsIdOf(paths: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(paths)).digest("hex").slice(0, 32);
}
