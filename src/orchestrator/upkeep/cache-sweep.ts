import { cacheBlobPrefix } from "../../api/caches/cache-kind.ts";
import { hostBlobPrefix, uploadOfBlob } from "../../api/transfers/blob-keys.ts";
import type { BlobStore } from "../../blobs/blob-store.ts";
import { isActive } from "../../core/job-state.ts";
import {
  deleteCacheEntry,
  evictCacheEntry,
  findEntryOfBlob,
  listPlacedCacheEntries,
  listUnusedCacheEntries,
} from "../../store/cache-entries.ts";
import { getJob } from "../../store/jobs.ts";
import type { Store } from "../../store/store.ts";
import { getUpload } from "../../store/uploads.ts";

/** Where to sweep. */
export interface SweepPlace {
  readonly store: Store;
  readonly blobs: BlobStore;
  /** This host. */
  readonly hostId: string;
  /** See `place` of the entries. */
  readonly place: string;
}

/** Removes blobs of this host's saves that neither an entry nor a save under way needs. Returns how many there were. */
export async function removeStrayBlobs({ store, blobs, hostId }: SweepPlace): Promise<number> {
  let removed = 0;
  for await (const { key } of blobs.list(hostBlobPrefix(cacheBlobPrefix, hostId))) {
    // In this order: what is stored between the two looks is an entry at the second.
    if (await isBeingSaved(store, key)) continue;
    if ((await findEntryOfBlob(store, key)) !== null) continue;
    await blobs.remove(key);
    removed += 1;
  }
  return removed;
}

async function isBeingSaved(store: Store, blobKey: string): Promise<boolean> {
  const upload = await getUpload(store, uploadOfBlob(blobKey));
  if (upload === null || upload.storedAt !== null) return false;
  const job = await getJob(store, upload.jobId);
  return job !== null && job.attempt === upload.attempt && isActive(job.state);
}

/** Removes entries whose blob is gone: a disk was restored from a backup, or somebody tidied up. Returns how many. */
export async function removeEntriesWithoutBlob({ store, blobs, place }: SweepPlace): Promise<number> {
  let removed = 0;
  for (const { id, blobKey } of await listPlacedCacheEntries(store, place)) {
    if ((await blobs.stat(blobKey)) !== null) continue;
    if (await deleteCacheEntry(store, id)) removed += 1;
  }
  return removed;
}

/** Removes entries, of any host, that were last used before `before`. Returns how many. */
export async function removeUnused({ store, blobs, place }: SweepPlace, before: number): Promise<number> {
  let removed = 0;
  for (const entry of await listUnusedCacheEntries(store, before)) {
    if (!(await evictCacheEntry(store, entry))) continue;
    removed += 1;
    // Another host's blob goes when that host sweeps.
    if (entry.place === place) await blobs.remove(entry.blobKey);
  }
  return removed;
}
