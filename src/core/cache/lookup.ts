/** One question to the list of entries: the key itself, or the newest key that begins with `text`. */
export interface CacheLookup {
  readonly kind: "exact" | "prefix";
  readonly text: string;
}

/**
 * The questions to ask for a cache, in order: the first that finds an entry decides. For each of them an entry of the
 * job's own ref comes before one of a shared ref, and then the newest is taken.
 */
export function cacheLookups(key: string, restoreKeys: readonly string[]): CacheLookup[] {
  return [
    { kind: "exact", text: key },
    ...restoreKeys.map((text): CacheLookup => ({ kind: "prefix", text })),
  ];
}

/** What became of a restore: `hit` the key itself, `partial` one that a restore key found, `miss` nothing. */
export const restoreOutcomes = ["hit", "partial", "miss"] as const;

/** One of {@link restoreOutcomes}. */
export type RestoreOutcome = (typeof restoreOutcomes)[number];

/** What a restore is called that found `found` (the key of an entry; null for none) where `key` was wished for. */
export function restoreOutcome(found: string | null, key: string): RestoreOutcome {
  if (found === null) return "miss";
  return found === key ? "hit" : "partial";
}

/**
 * The first text that no key beginning with `prefix` reaches, for a range in an index. Keys are ASCII without control
 * characters.
 */
export function endOfPrefix(prefix: string): string {
  return `${prefix}\u007f`;
}
