/** One search in the list of entries: for the key itself, or for the newest key that begins with `text`. */
export interface CacheLookup {
  readonly kind: "exact" | "prefix";
  readonly text: string;
}

/**
 * The searches for a cache, in order: the first that finds an entry decides. In each search an entry of the job's own
 * ref comes before one of a shared ref, and a newer entry before an older one.
 */
export function cacheLookups(key: string, restoreKeys: readonly string[]): CacheLookup[] {
  return [
    { kind: "exact", text: key },
    ...restoreKeys.map((text): CacheLookup => ({ kind: "prefix", text })),
  ];
}

/** Outcome of a restore: `hit` found the key itself, `partial` an entry by a restore key, `miss` no entry. */
export const restoreOutcomes = ["hit", "partial", "miss"] as const;

/** One of {@link restoreOutcomes}. */
export type RestoreOutcome = (typeof restoreOutcomes)[number];

/** The outcome of a restore of `key` that found the entry with the key `found`; null: no entry. */
export function restoreOutcome(found: string | null, key: string): RestoreOutcome {
  if (found === null) return "miss";
  return found === key ? "hit" : "partial";
}

/**
 * The first text after all keys that begin with `prefix`, for a range in an index. Keys are ASCII without control
 * characters.
 */
export function endOfPrefix(prefix: string): string {
  return `${prefix}\u007f`;
}
