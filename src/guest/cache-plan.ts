import { type KeyPart, parseCacheKey } from "../core/cache/key.ts";
import { splitByRoot } from "../core/cache/path.ts";
import type { CacheWish } from "../core/cache/request.ts";

type Assignment = [name: string, value: string | number];

/** The part of a plan that `cache.sh` reads: for each cache its key in parts, its restore keys, and its paths by root. */
export function cacheAssignments(caches: readonly CacheWish[]): Assignment[] {
  return [
    ["PLAN_CACHE_COUNT", caches.length],
    ...caches.flatMap((cache, at) => assignmentsOf(cache, `PLAN_CACHE_${at + 1}`)),
  ];
}

function assignmentsOf(cache: CacheWish, name: string): Assignment[] {
  const { checkout, home } = splitByRoot(cache.paths);
  return [
    ...keyAssignments(cache.key, `${name}_KEY`),
    [`${name}_RESTORE_COUNT`, cache.restore_keys.length],
    ...cache.restore_keys.flatMap((key, at) => keyAssignments(key, `${name}_RESTORE_${at + 1}`)),
    ...listAssignments(checkout, `${name}_CHECKOUT`),
    ...listAssignments(home, `${name}_HOME`),
  ];
}

function keyAssignments(key: string, name: string): Assignment[] {
  const parsed = parseCacheKey(key);
  const parts = "parts" in parsed ? parsed.parts : [];
  return [
    [`${name}_PARTS`, parts.length],
    ...parts.map((part, at): Assignment => [`${name}_${at + 1}`, partText(part)]),
  ];
}

/** Text begins with `=`, a file whose hash stands there with `#`. */
function partText(part: KeyPart): string {
  return typeof part === "string" ? `=${part}` : `#${part.file}`;
}

function listAssignments(values: readonly string[], name: string): Assignment[] {
  return [
    [`${name}_COUNT`, values.length],
    ...values.map((value, at): Assignment => [`${name}_${at + 1}`, value]),
  ];
}
