import type { BlobStore } from "../../blobs/blob-store.ts";
import type { Leak } from "../../core/audit/leak.ts";
import type { Store } from "../../store/store.ts";

/** The dependencies of a sweep: the blobs, and the store with their records. */
export interface SweepPlace {
  readonly store: Store;
  readonly blobs: BlobStore;
  /** This host. */
  readonly hostId: string;
  /** The host that alone can read the blobs; null when all hosts can. */
  readonly blobHostId: string | null;
  /** See `place` of the cache's entries. */
  readonly cachePlace: string;
}

/** The sweep place of a host that stores its blobs in `blobs`. */
export function sweepPlace(parts: Pick<SweepPlace, "store" | "blobs" | "hostId">): SweepPlace {
  const { blobs, hostId } = parts;
  return {
    ...parts,
    blobHostId: blobs.isShared ? null : hostId,
    cachePlace: cachePlace(blobs, hostId),
  };
}

/** The `place` of this host's cache entries: empty when every host reads the same blobs. */
export function cachePlace({ isShared }: Pick<BlobStore, "isShared">, hostId: string): string {
  return isShared ? "" : hostId;
}

/** An orphan blob, record or file, which a sweep finds and a report lists. */
export interface Stray extends Leak {
  /** Removes the orphan, or records that its blob is gone; false when it no longer existed. Idempotent. */
  repair(): Promise<boolean>;
}

/** Repairs each as it is found. Returns the number. */
export async function repairAll(strays: AsyncIterable<Stray>): Promise<number> {
  let repaired = 0;
  for await (const stray of strays) if (await stray.repair()) repaired += 1;
  return repaired;
}
