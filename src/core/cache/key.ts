import { cacheLimits } from "./limits.ts";
import { relativePathProblem } from "./path.ts";

/** A piece of a key: literal text, or the hash of a file of the checkout. */
export type KeyPart = string | { readonly file: string };

/** Number of hexadecimal digits of a file's SHA-256 in a key: enough that two files never have the same digits. */
export const keyHashDigits = 32;

/** The text in a key for a file that does not exist. */
export const missingFileHash = "none";

/**
 * Splits a key such as `npm-{hash:package-lock.json}` into its parts. For an invalid key, returns the problem in words
 * that follow "a key".
 */
export function parseCacheKey(text: string): { parts: KeyPart[] } | { problem: string } {
  if (text.length === 0 || text.length > cacheLimits.keyChars)
    return { problem: `has 1 to ${cacheLimits.keyChars} characters` };
  const parts: KeyPart[] = [];
  for (const [piece] of text.matchAll(/\{[^{}]*\}|[^{}]+|[{}]/g)) {
    const part = piece.startsWith("{") ? parsePlaceholder(piece) : parseLiteral(piece);
    if ("problem" in part) return part;
    parts.push(part.part);
  }
  if (parts.filter((part) => typeof part !== "string").length > cacheLimits.keyFiles)
    return { problem: `names at most ${cacheLimits.keyFiles} files` };
  return { parts };
}

function parseLiteral(text: string): { part: KeyPart } | { problem: string } {
  if (/^[A-Za-z0-9._/@+:=,-]+$/.test(text)) return { part: text };
  return { problem: "is made of letters, digits, any of . _ / @ + : = , - and {hash:FILE}" };
}

function parsePlaceholder(text: string): { part: KeyPart } | { problem: string } {
  const file = /^\{hash:([^{}]+)\}$/.exec(text)?.[1];
  if (file === undefined) return { problem: "has no other braces than {hash:FILE}" };
  const problem = relativePathProblem(file);
  return problem === null
    ? { part: { file } }
    : { problem: `names files of the checkout: "${file}" ${problem}` };
}

/**
 * True when a guest can have made `key` from these parts. A guest can therefore restore and save only the keys that its
 * job's request allows.
 */
export function isExpansionOf(key: string, parts: readonly KeyPart[]): boolean {
  const pattern = parts.map((part) =>
    typeof part === "string" ? escapeForPattern(part) : `(?:[0-9a-f]{${keyHashDigits}}|${missingFileHash})`,
  );
  return new RegExp(`^${pattern.join("")}$`).test(key);
}

function escapeForPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}
