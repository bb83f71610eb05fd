import type { RestoreOutcome } from "../../core/cache/lookup.ts";
import type { SaveOutcome } from "../../core/cache/save.ts";
import type { SpaceRequest } from "../../core/cache/space.ts";

/** Counts of a host's cache since its start, for `/metrics`. */
export interface CacheCounts {
  readonly restores: Record<RestoreOutcome, number>;
  readonly saves: Record<SaveOutcome, number>;
  /** Bytes of the restored entries and of the saved entries. */
  readonly bytes: { restored: number; saved: number };
}

/** The dependencies of the cache handlers. */
export interface CacheContext {
  /** The place of this host's entries: the host id, or empty when all hosts read the same store. */
  readonly place: string;
  /** The refs whose entries every ref may restore. */
  readonly sharedRefs: readonly string[];
  /** Maximum size of an entry, in bytes; 0: no limit. */
  readonly entryLimitBytes: number;
  /**
   * Removes the least recently used entries to make room for a new one. Returns null, or the reason why there
   * is no room, in one sentence.
   */
  readonly freeSpace: (requested: SpaceRequest) => Promise<string | null>;
  /** Schedules a sweep for blobs that no entry needs. */
  readonly wakeSweep: () => void;
  /** Removes an entry at the request of a person; true when the entry existed. */
  readonly remove: (id: string) => Promise<boolean>;
  readonly counts: CacheCounts;
}

/** Creates the counts of a start, all 0. */
export function createCacheCounts(): CacheCounts {
  return {
    restores: { hit: 0, partial: 0, miss: 0 },
    saves: { saved: 0, exists: 0, read_only: 0, no_room: 0 },
    bytes: { restored: 0, saved: 0 },
  };
}
