import { cacheBlobPrefix } from "../../attempts/caches/cache-kind.ts";
import { hostBlobPrefix, uploadOfBlob } from "../../attempts/transfers/blob-keys.ts";
import { isActive } from "../../core/job/job-state.ts";
import {
  deleteCacheEntry,
  evictCacheEntry,
  findEntryOfBlob,
  listPlacedCacheEntries,
  listUnusedCacheEntries,
} from "../../store/files/cache-entries.ts";
import { getUpload } from "../../store/files/uploads.ts";
import { getJob } from "../../store/jobs/jobs.ts";
import type { Store } from "../../store/store.ts";
import type { Stray, SweepPlace } from "./sweep-place.ts";

/** Blobs of this host's saves that neither an entry nor an unfinished save needs. */
export async function* findStrayBlobs({ store, blobs, hostId }: SweepPlace): AsyncGenerator<Stray> {
  for await (const { key } of blobs.list(hostBlobPrefix(cacheBlobPrefix, hostId))) {
    // In this order: an entry that is stored between the two checks is found by the second.
    if (await isBeingSaved(store, key)) continue;
    if ((await findEntryOfBlob(store, key)) !== null) continue;
    yield {
      kind: "cache_blob_without_entry",
      name: key,
      jobId: uploadOfBlob(key).jobId,
      cause: `A cache blob in ${blobs.place} has no entry: another job saved the same key first, or the process that removed the entry ended before it removed the blob.`,
      remedy: "remove",
      repair: async () => {
        await blobs.remove(key);
        return true;
      },
    };
  }
}

async function isBeingSaved(store: Store, blobKey: string): Promise<boolean> {
  const upload = await getUpload(store, uploadOfBlob(blobKey));
  if (upload === null || upload.storedAt !== null) return false;
  const job = await getJob(store, upload.jobId);
  return job !== null && job.attempt === upload.attempt && isActive(job.state);
}

/** Entries whose blob is missing: a disk was restored from a backup, or a person removed the file. */
export async function* findEntriesWithoutBlob({
  store,
  blobs,
  cachePlace,
}: SweepPlace): AsyncGenerator<Stray> {
  for (const { id, blobKey } of await listPlacedCacheEntries(store, cachePlace)) {
    if ((await blobs.stat(blobKey)) !== null) continue;
    yield {
      kind: "cache_entry_without_blob",
      name: id,
      jobId: uploadOfBlob(blobKey).jobId,
      cause: `The blob of this cache entry (${blobKey}) is not in ${blobs.place}: a disk was restored from an older copy, or a person removed the file. The repair removes the entry, and a job saves a new one.`,
      remedy: "finish",
      repair: () => deleteCacheEntry(store, id),
    };
  }
}

/** Removes entries, of any host, that were last used before `before`. Returns the number. */
export async function removeUnused(
  { store, blobs, cachePlace }: SweepPlace,
  before: number,
): Promise<number> {
  let removed = 0;
  for (const entry of await listUnusedCacheEntries(store, before)) {
    if (!(await evictCacheEntry(store, entry))) continue;
    removed += 1;
    // Another host's blob is removed by the sweep of that host.
    if (entry.place === cachePlace) await blobs.remove(entry.blobKey);
  }
  return removed;
}
