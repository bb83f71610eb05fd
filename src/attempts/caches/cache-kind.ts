import { createHash } from "node:crypto";
import { SolsticeError } from "../../core/errors.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import { entryToRead, jobWithin, saveCacheEntryWithin } from "../../store/files/caches.ts";
import type { Store } from "../../store/store.ts";
import { blobKeyOf } from "../transfers/blob-keys.ts";
import type { FindDownload, UploadKind } from "../transfers/transfer-kinds.ts";
import type { CacheContext } from "./cache-context.ts";
import { type CacheAsker, maySaveCaches, requestedCache, requireExpansion } from "./requested-cache.ts";
import { parseUploadName } from "./upload-name.ts";

/** The name of the cache kind, in uploads and downloads. */
export const cacheKind = "cache";

/** The prefix of all cache blobs. */
export const cacheBlobPrefix = `${cacheKind}/`;

/**
 * Uploads that save an entry: only under a key that the job's request allows, and never for a fork's pull
 * request.
 */
export function cacheUploadKind(caches: CacheContext): UploadKind {
  return {
    refusal(session, offer) {
      if (!maySaveCaches(session.job)) return "a pull request from a fork must not save a cache";
      requireUpload(caches, { job: session.job, attempt: session.machine.attempt }, offer);
      const { entryLimitBytes: limit } = caches;
      if (limit === 0 || offer.sizeBytes <= limit) return null;
      return `a cache entry must not exceed ${formatBytes(limit)}`;
    },
    blobKey: ({ machine }, uploadId) => blobKeyOf(cacheBlobPrefix, machine, uploadId),
    async record(trx, upload) {
      const job = await jobWithin(trx, upload.jobId);
      const { cache, parsed } = requireUpload(caches, { job, attempt: upload.attempt }, upload);
      const outcome = await saveCacheEntryWithin(trx, {
        ...{ jobId: upload.jobId, attempt: upload.attempt, index: cache.index, bucket: cache.bucket },
        id: entryIdOf(upload.blobKey),
        key: parsed.key,
        sizeBytes: upload.sizeBytes,
        sha256: upload.sha256 ?? "",
        compression: parsed.compression,
        firstPartBytes: parsed.firstPartBytes,
        blobKey: upload.blobKey,
        at: upload.storedAt ?? 0,
      });
      caches.counts.saves[outcome] += 1;
      if (outcome === "saved") caches.counts.bytes.saved += upload.sizeBytes;
      else caches.wakeSweep();
    },
  };
}

/**
 * Parses the name of an upload. Throws `usage` unless the job's request has that cache and allows the key.
 */
function requireUpload(
  caches: CacheContext,
  asker: CacheAsker,
  upload: { readonly name: string; readonly sizeBytes: number },
) {
  const parsed = parseUploadName(upload.name);
  if (parsed === null) throw new SolsticeError("usage", "The upload name was not issued by SaveCache.");
  const cache = requestedCache(caches, asker, parsed.index);
  requireExpansion(parsed.key, cache.requested.key);
  if (parsed.firstPartBytes <= upload.sizeBytes) return { cache, parsed };
  throw new SolsticeError("usage", "The first part of the archive is longer than the whole archive.");
}

/**
 * Makes an entry id, shorter than the blob's key, for people to type: 64 bits of a digest, enough for some
 * thousand entries.
 */
function entryIdOf(blobKey: string): string {
  return createHash("sha256").update(blobKey).digest("hex").slice(0, 16);
}

/** Grants an attempt the download of the entries that RestoreCache returned to it, and no others. */
export function cacheDownloads(store: Store): FindDownload {
  return async ({ machine }, entryId) => {
    const entry = await entryToRead(store, { jobId: machine.jobId, attempt: machine.attempt, entryId });
    return entry && { blobKey: entry.blob_key, sizeBytes: entry.size_bytes, sha256: entry.sha256 };
  };
}
