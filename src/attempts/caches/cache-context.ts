import type { RestoreOutcome } from "../../core/cache/lookup.ts";
import type { SaveOutcome } from "../../core/cache/save.ts";
import type { SpaceRequest } from "../../core/cache/space.ts";

/** What a host's cache did since its start, for `/metrics`. */
export interface CacheCounts {
  readonly restores: Record<RestoreOutcome, number>;
  readonly saves: Record<SaveOutcome, number>;
  /** Bytes of the entries that were to be restored, and of those that were saved. */
  readonly bytes: { restored: number; saved: number };
}

/** What the handlers of caches need from the process they run in. */
export interface CacheContext {
  /** Where entries of this host lie: its id, or empty where every host reads the same. */
  readonly place: string;
  /** The refs whose entries every ref may restore. */
  readonly sharedRefs: readonly string[];
  /** Largest entry, in bytes; 0 is no limit. */
  readonly entryLimitBytes: number;
  /** Removes what was not used for longest, so that an entry has room. Returns why it has none, in one sentence, or null. */
  readonly freeSpace: (requested: SpaceRequest) => Promise<string | null>;
  /** Looks soon for blobs that no entry needs. */
  readonly wakeSweep: () => void;
  /** Removes an entry that a person does not want; true when it was there. */
  readonly remove: (id: string) => Promise<boolean>;
  readonly counts: CacheCounts;
}

/** Counts of a start. */
export function createCacheCounts(): CacheCounts {
  return {
    restores: { hit: 0, partial: 0, miss: 0 },
    saves: { saved: 0, exists: 0, read_only: 0, no_room: 0 },
    bytes: { restored: 0, saved: 0 },
  };
}
