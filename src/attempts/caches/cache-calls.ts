import { cacheLookups } from "../../core/cache/lookup.ts";
import type { SaveOutcome } from "../../core/cache/save.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { RestoreCacheRequest, SaveCacheRequest } from "../../gen/solstice/v1/runner_pb.ts";
import { type CacheEntry, findCacheEntry, recordCacheUse, restoreCache } from "../../store/files/caches.ts";
import type { Store } from "../../store/store.ts";
import { mustStop, type RunnerSession, refusedGuest } from "../runner-sessions.ts";
import type { CacheContext } from "./cache-context.ts";
import {
  type CacheAsker,
  maySaveCaches,
  type RequestedCache,
  requestedCache,
  requireExpansion,
} from "./requested-cache.ts";
import { parseCompression, uploadNameOf } from "./upload-name.ts";

/** The dependencies of both calls. */
export interface CacheCallContext {
  readonly store: Store;
  readonly caches: CacheContext;
  readonly now: () => number;
}

/** RestoreCache of an authenticated runner. Throws `usage` for keys that the job's request does not allow. */
export async function restoreCacheCall(
  { store, caches, now }: CacheCallContext,
  session: RunnerSession,
  request: RestoreCacheRequest,
) {
  const cache = requestedCache(caches, attemptOf(session), request.index);
  const key = requireExpansion(request.key, cache.requested.key);
  const templates = cache.requested.restore_keys;
  if (request.restoreKeys.length !== templates.length) {
    throw new SolsticeError("usage", `This cache has ${templates.length} restore keys.`);
  }
  const restoreKeys = request.restoreKeys.map((text, at) => requireExpansion(text, templates[at] ?? ""));
  const found = await restoreCache(store, { ...cache, lookups: cacheLookups(key, restoreKeys), at: now() });
  if (found === null) throw refusedGuest();
  const { outcome, entry, isRepeat } = found;
  if (!isRepeat) {
    caches.counts.restores[outcome] += 1;
    caches.counts.bytes.restored += entry?.size_bytes ?? 0;
  }
  const stop = mustStop(session.job);
  return entry === null ? { outcome, stop } : { outcome, stop, archive: archiveOf(entry) };
}

function attemptOf({ job, machine }: RunnerSession): CacheAsker {
  return { job, attempt: machine.attempt };
}

function archiveOf(entry: CacheEntry) {
  return {
    entryId: entry.id,
    key: entry.cache_key,
    size: BigInt(entry.size_bytes),
    sha256: entry.sha256,
    compression: entry.compression,
    firstPartBytes: BigInt(entry.first_part_bytes),
    createdMs: BigInt(entry.created_at),
  };
}

/** The instruction for a guest, or the outcome of its save. */
interface SaveAnswer {
  readonly outcome: SaveOutcome | "send";
  readonly message: string;
  readonly uploadName?: string;
}

/** SaveCache of an authenticated runner. Throws `usage` for a key that the job's request does not allow. */
export async function saveCacheCall(
  context: CacheCallContext,
  session: RunnerSession,
  request: SaveCacheRequest,
) {
  const cache = requestedCache(context.caches, attemptOf(session), request.index);
  const key = requireExpansion(request.key, cache.requested.key);
  const answer = await decideSave(context, session, { cache, key, request });
  return { ...answer, stop: mustStop(session.job) };
}

interface SaveRequest {
  readonly cache: RequestedCache;
  readonly key: string;
  readonly request: SaveCacheRequest;
}

async function decideSave(
  context: CacheCallContext,
  session: RunnerSession,
  { cache, key, request }: SaveRequest,
): Promise<SaveAnswer> {
  const { store, caches } = context;
  if (!maySaveCaches(session.job)) {
    return refuse(context, { cache, key }, "read_only", "pull requests from forks must not save caches");
  }
  const existing = await findCacheEntry(store, { ...cache, key });
  if (existing?.job_id === cache.jobId) return { outcome: "saved", message: "" };
  if (existing)
    return refuse(context, { cache, key }, "exists", "the cache already has an entry with this key");
  if (request.size === 0n) return { outcome: "send", message: "" };
  const size = Number(request.size);
  const problem = await caches.freeSpace({ repository: cache.bucket.scope.repository, size });
  if (problem !== null) return refuse(context, { cache, key }, "no_room", problem);
  const compression = parseCompression(request.compression);
  const firstPartBytes = Number(request.firstPartBytes);
  const uploadName = uploadNameOf({ index: cache.index, key, compression, firstPartBytes });
  return { outcome: "send", message: "", uploadName };
}

async function refuse(
  { store, caches, now }: CacheCallContext,
  { cache, key }: { readonly cache: RequestedCache; readonly key: string },
  outcome: Exclude<SaveOutcome, "saved">,
  message: string,
): Promise<SaveAnswer> {
  const isFirst = await recordCacheUse(store, {
    ...{ jobId: cache.jobId, attempt: cache.attempt, index: cache.index },
    ...{ action: "save", outcome, key, entryId: null, sizeBytes: 0, at: now() },
  });
  if (isFirst) caches.counts.saves[outcome] += 1;
  return { outcome, message };
}
