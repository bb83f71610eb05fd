/** Limits of the stored caches; the bytes as the operator set them, 0 means no limit. */
export interface CacheLimits {
  readonly entryBytes: number;
  readonly repositoryBytes: number;
  readonly totalBytes: number;
}

/** Largest number of entries of one repository, and in total: even tiny entries take rows and files. */
export const cacheEntriesMax = { repository: 1000, total: 20_000 } as const;

/** The fields of an entry that eviction needs. */
export interface EvictableEntry {
  readonly id: string;
  readonly repository: string;
  readonly size: number;
  readonly lastUsedAt: number;
  /** True when a job in progress restored the entry: the job may be reading it now. */
  readonly isRead: boolean;
}

/** A request for room for one more entry of `size` bytes. */
export interface SpaceRequest {
  readonly repository: string;
  readonly size: number;
}

/** The entries to evict so that a new entry has room, or the limit that leaves no room. */
export type SpacePlan =
  | { readonly evict: readonly string[] }
  | { readonly refusal: "entry" | "repository" | "total" };

/** Plans room for one more entry. Entries that are being read always stay. */
export function planSpace(
  entries: readonly EvictableEntry[],
  requested: SpaceRequest,
  limits: CacheLimits,
): SpacePlan {
  if (limits.entryBytes > 0 && requested.size > limits.entryBytes) return { refusal: "entry" };
  const evict = planEviction(entries, limits, requested);
  const gone = new Set(evict);
  const rest = [...entries.filter((entry) => !gone.has(entry.id)), requested];
  const own = rest.filter((entry) => entry.repository === requested.repository);
  if (isOver(own, limits.repositoryBytes, cacheEntriesMax.repository)) return { refusal: "repository" };
  if (isOver(rest, limits.totalBytes, cacheEntriesMax.total)) return { refusal: "total" };
  return { evict };
}

/**
 * The entries to evict so that the limits hold, including the requested entry; all that can be evicted where that is
 * not enough. The least recently used go first; entries that are being read stay.
 */
export function planEviction(
  entries: readonly EvictableEntry[],
  limits: CacheLimits,
  requested: SpaceRequest | null = null,
): string[] {
  const oldestFirst = entries.toSorted((a, b) => a.lastUsedAt - b.lastUsedAt || (a.id < b.id ? -1 : 1));
  const byRepository = Map.groupBy(oldestFirst, (entry) => entry.repository);
  const gone = [...byRepository].flatMap(([repository, own]) => {
    const coming = requested?.repository === repository ? requested : null;
    return oldestBeyond(own, coming, { bytes: limits.repositoryBytes, count: cacheEntriesMax.repository });
  });
  const isGone = new Set(gone);
  const rest = oldestFirst.filter((entry) => !isGone.has(entry.id));
  return [
    ...gone,
    ...oldestBeyond(rest, requested, { bytes: limits.totalBytes, count: cacheEntriesMax.total }),
  ];
}

function oldestBeyond(
  oldestFirst: readonly EvictableEntry[],
  coming: SpaceRequest | null,
  limit: { readonly bytes: number; readonly count: number },
): string[] {
  let bytes = oldestFirst.reduce((total, entry) => total + entry.size, coming?.size ?? 0);
  let count = oldestFirst.length + (coming === null ? 0 : 1);
  const gone: string[] = [];
  for (const entry of oldestFirst) {
    if (count <= limit.count && (limit.bytes === 0 || bytes <= limit.bytes)) break;
    if (entry.isRead) continue;
    gone.push(entry.id);
    bytes -= entry.size;
    count -= 1;
  }
  return gone;
}

function isOver(kept: readonly { readonly size: number }[], bytes: number, count: number): boolean {
  return kept.length > count || (bytes > 0 && kept.reduce((total, entry) => total + entry.size, 0) > bytes);
}
