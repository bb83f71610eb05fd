import type { BlobStore } from "../../blobs/blob-store.ts";
import type { Leak } from "../../core/audit/leak.ts";
import type { Store } from "../../store/store.ts";

/** Where blobs lie, and the store that knows what they are: all that a sweep needs. */
export interface SweepPlace {
  readonly store: Store;
  readonly blobs: BlobStore;
  /** This host. */
  readonly hostId: string;
  /** The host that alone reads the blobs; null where all do. */
  readonly blobHostId: string | null;
  /** See `place` of the cache's entries. */
  readonly cachePlace: string;
}

/** The place of a host that keeps its blobs in `blobs`. */
export function sweepPlace(parts: Pick<SweepPlace, "store" | "blobs" | "hostId">): SweepPlace {
  const { blobs, hostId } = parts;
  return {
    ...parts,
    blobHostId: blobs.isShared ? null : hostId,
    cachePlace: cachePlace(blobs, hostId),
  };
}

/** What the entries of the cache name as their place: nothing where every host reads the same blobs. */
export function cachePlace({ isShared }: Pick<BlobStore, "isShared">, hostId: string): string {
  return isShared ? "" : hostId;
}

/** A blob, a record or a file that is there for nothing, as a sweep finds it and a report tells it. */
export interface Stray extends Leak {
  /** Removes it, or notes that it is gone; false when it was not there any more. Repeats are fine. */
  repair(): Promise<boolean>;
}

/** Repairs each as it is found. Returns how many. */
export async function repairAll(strays: AsyncIterable<Stray>): Promise<number> {
  let repaired = 0;
  for await (const stray of strays) if (await stray.repair()) repaired += 1;
  return repaired;
}
