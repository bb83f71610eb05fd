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

/** Blobs of this host's saves that neither an entry nor a save under way needs. */
export async function* findStrayBlobs({ store, blobs, hostId }: SweepPlace): AsyncGenerator<Stray> {
  for await (const { key } of blobs.list(hostBlobPrefix(cacheBlobPrefix, hostId))) {
    // In this order: what is stored between the two looks is an entry at the second.
    if (await isBeingSaved(store, key)) continue;
    if ((await findEntryOfBlob(store, key)) !== null) continue;
    yield {
      kind: "cache_blob_without_entry",
      name: key,
      jobId: uploadOfBlob(key).jobId,
      cause: `The bytes of a cache lie in ${blobs.place}, but no entry has them: another job saved the same key first, or a process that removed the entry ended before it could remove the bytes.`,
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

/** Entries whose blob is gone: a disk was restored from a backup, or somebody tidied up. */
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
      cause: `The cache has this entry, but its bytes (${blobKey}) are not in ${blobs.place}: a disk was restored from an older copy, or somebody removed them. The entry goes, and a job makes a new one.`,
      remedy: "finish",
      repair: () => deleteCacheEntry(store, id),
    };
  }
}

/** Removes entries, of any host, that were last used before `before`. Returns how many. */
export async function removeUnused(
  { store, blobs, cachePlace }: SweepPlace,
  before: number,
): Promise<number> {
  let removed = 0;
  for (const entry of await listUnusedCacheEntries(store, before)) {
    if (!(await evictCacheEntry(store, entry))) continue;
    removed += 1;
    // Another host's blob goes when that host sweeps.
    if (entry.place === cachePlace) await blobs.remove(entry.blobKey);
  }
  return removed;
}
