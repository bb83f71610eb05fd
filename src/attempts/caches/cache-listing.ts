import { create } from "@bufbuild/protobuf";
import { cacheRepository } from "../../core/cache/scope.ts";
import { SolsticeError } from "../../core/errors.ts";
import {
  CacheEntrySchema,
  CacheUseSchema,
  type DeleteCacheRequest,
  type ListCacheRequest,
} from "../../gen/solstice/v1/jobs_pb.ts";
import { getCacheEntry, listCacheEntries } from "../../store/files/cache-entries.ts";
import type { CacheEntry, CacheUse } from "../../store/files/caches.ts";
import type { Store } from "../../store/store.ts";
import type { CacheContext } from "./cache-context.ts";

/** Default and maximum number of entries in one answer; also the maximum of one delete call. */
const listDefault = 100;
const listMax = 1000;

/** Lists the entries that match a request, most recently used first. Throws `limit_exceeded`. */
export async function listCache(store: Store, request: ListCacheRequest) {
  if (request.limit > listMax) {
    throw new SolsticeError("limit_exceeded", `At most ${listMax} entries are listed per call.`);
  }
  const entries = await listCacheEntries(store, {
    ...filterOf(request),
    limit: request.limit || listDefault,
  });
  return { entries: entries.map(entryMessage) };
}

/**
 * Deletes the entries that a request names. Throws `usage` for a request that names none, and `not_found` for
 * an unknown id.
 */
export async function deleteCache(
  { store, caches }: { readonly store: Store; readonly caches: Pick<CacheContext, "remove"> },
  request: DeleteCacheRequest,
) {
  const named = await entriesToDelete(store, request);
  const deleted: CacheEntry[] = [];
  for (const entry of named) if (await caches.remove(entry.id)) deleted.push(entry);
  return { deleted: deleted.map(entryMessage) };
}

async function entriesToDelete(store: Store, request: DeleteCacheRequest): Promise<CacheEntry[]> {
  if (request.id !== "") {
    const entry = await getCacheEntry(store, request.id);
    if (entry !== null) return [entry];
    throw new SolsticeError("not_found", `The cache has no entry ${request.id}.`, {
      remedy: "List the entries and their ids with 'solstice cache list'.",
    });
  }
  if (request.repoUrl === "" && request.key === "" && !request.all) {
    throw new SolsticeError(
      "usage",
      "The request names no entries to delete: set an id, a repository, a key, or all.",
    );
  }
  return listCacheEntries(store, { ...filterOf(request), limit: listMax });
}

function filterOf({ repoUrl, key }: { readonly repoUrl: string; readonly key: string }) {
  return {
    ...(repoUrl !== "" && { repository: cacheRepository(repoUrl) }),
    ...(key !== "" && { key }),
  };
}

function entryMessage(entry: CacheEntry) {
  return create(CacheEntrySchema, {
    id: entry.id,
    repository: entry.repository,
    image: entry.image,
    ref: entry.ref,
    key: entry.cache_key,
    size: BigInt(entry.size_bytes),
    sha256: entry.sha256,
    compression: entry.compression,
    jobId: entry.job_id,
    createdMs: BigInt(entry.created_at),
    lastUsedMs: BigInt(entry.last_used_at),
    uses: BigInt(entry.uses),
    hostId: entry.place,
  });
}

/** The use of a cache by an attempt, as part of a job's message. */
export function cacheUseMessage(use: CacheUse) {
  return create(CacheUseSchema, {
    index: use.cache_index,
    action: use.action,
    outcome: use.outcome,
    key: use.cache_key,
    size: BigInt(use.size_bytes),
  });
}
