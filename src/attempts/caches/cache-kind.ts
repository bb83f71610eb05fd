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

/** The name of the kind, of uploads and of downloads. */
export const cacheKind = "cache";

/** All blobs of caches are below this. */
export const cacheBlobPrefix = `${cacheKind}/`;

/** Uploads that save an entry: only under a key that the job's request allows, and never of a fork's pull request. */
export function cacheUploadKind(caches: CacheContext): UploadKind {
  return {
    refusal(session, offer) {
      if (!maySaveCaches(session.job)) return "a pull request from a fork saves no cache";
      requireUpload(caches, { job: session.job, attempt: session.machine.attempt }, offer);
      const { entryLimitBytes: limit } = caches;
      if (limit === 0 || offer.sizeBytes <= limit) return null;
      return `an entry of the cache has at most ${formatBytes(limit)}`;
    },
    blobKey: ({ machine }, uploadId) => blobKeyOf(cacheBlobPrefix, machine, uploadId),
    async record(trx, upload) {
      const job = await jobWithin(trx, upload.jobId);
      const { cache, reported } = requireUpload(caches, { job, attempt: upload.attempt }, upload);
      const outcome = await saveCacheEntryWithin(trx, {
        ...{ jobId: upload.jobId, attempt: upload.attempt, index: cache.index, bucket: cache.bucket },
        id: entryIdOf(upload.blobKey),
        key: reported.key,
        sizeBytes: upload.sizeBytes,
        sha256: upload.sha256 ?? "",
        compression: reported.compression,
        firstPartBytes: reported.firstPartBytes,
        blobKey: upload.blobKey,
        at: upload.storedAt ?? 0,
      });
      caches.counts.saves[outcome] += 1;
      if (outcome === "saved") caches.counts.bytes.saved += upload.sizeBytes;
      else caches.wakeSweep();
    },
  };
}

/** What the name of an upload says. Throws `usage` unless the job's request has that cache, and may make that key. */
function requireUpload(
  caches: CacheContext,
  asker: CacheAsker,
  upload: { readonly name: string; readonly sizeBytes: number },
) {
  const reported = parseUploadName(upload.name);
  if (reported === null)
    throw new SolsticeError("usage", "This is no name of an upload that SaveCache gave.");
  const cache = requestedCache(caches, asker, reported.index);
  requireExpansion(reported.key, cache.requested.key);
  if (reported.firstPartBytes <= upload.sizeBytes) return { cache, reported };
  throw new SolsticeError("usage", "The first part of an archive cannot be longer than the whole.");
}

/** Shorter than the blob's key, for people to type; 64 bits of a digest, which no two of some thousand entries share. */
function entryIdOf(blobKey: string): string {
  return createHash("sha256").update(blobKey).digest("hex").slice(0, 16);
}

/** Lets an attempt read the entries that it was told to restore, and no others. */
export function cacheDownloads(store: Store): FindDownload {
  return async ({ machine }, entryId) => {
    const entry = await entryToRead(store, { jobId: machine.jobId, attempt: machine.attempt, entryId });
    return entry && { blobKey: entry.blob_key, sizeBytes: entry.size_bytes, sha256: entry.sha256 };
  };
}
