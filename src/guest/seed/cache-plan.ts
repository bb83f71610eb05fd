import { type KeyPart, parseCacheKey } from "../../core/cache/key.ts";
import { splitByRoot } from "../../core/cache/path.ts";
import type { CacheRequest } from "../../core/cache/request.ts";
import { shellQuote } from "./shell-quote.ts";

type Assignment = [name: string, value: string | number];

/**
 * Assignments of a plan for the caches: their number, and one value that is itself a fragment like a plan, with each
 * cache's key in parts, its restore keys, and its paths by root. `cache.sh`, a separate process, reads only that
 * fragment, without the plan's secrets.
 */
export function cacheAssignments(caches: readonly CacheRequest[]): Assignment[] {
  const own = caches.flatMap((cache, at) => assignmentsOf(cache, `PLAN_CACHE_${at + 1}`));
  const fragment = [["PLAN_CACHE_COUNT", caches.length], ...own].map(
    ([name, value]) => `${name}=${shellQuote(String(value))}\n`,
  );
  return [
    ["PLAN_CACHE_COUNT", caches.length],
    ["PLAN_CACHE_PLAN", caches.length === 0 ? "" : fragment.join("")],
  ];
}

function assignmentsOf(cache: CacheRequest, name: string): Assignment[] {
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

/** Encodes a part of a key: `=` and text, or `#` and the file whose hash is inserted. */
function partText(part: KeyPart): string {
  return typeof part === "string" ? `=${part}` : `#${part.file}`;
}

function listAssignments(values: readonly string[], name: string): Assignment[] {
  return [
    [`${name}_COUNT`, values.length],
    ...values.map((value, at): Assignment => [`${name}_${at + 1}`, value]),
  ];
}
