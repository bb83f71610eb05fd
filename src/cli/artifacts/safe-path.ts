import { createHash } from "node:crypto";

/** A part of a path is cut at this length, in bytes: file systems take 255, and a part file adds some. */
const partBytes = 180;

/** Parts of one path: deeper ones are joined. */
const partsMax = 64;

/**
 * Where files with names of somebody else go below a directory of ours: for each a relative path of plain parts, none of
 * them `..`, no two the same, also where letters' case does not tell files apart. A harmless name stays as it is.
 */
export function safePaths(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const path = safePath(name);
    let free = path;
    for (let count = 2; taken.has(free.toLowerCase().normalize()); count += 1) free = `${path}~${count}`;
    taken.add(free.toLowerCase().normalize());
    return free;
  });
}

function safePath(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  const few =
    parts.length <= partsMax ? parts : [...parts.slice(0, partsMax - 1), parts.slice(partsMax - 1).join("_")];
  return few.map(safePart).join("/") || "_";
}

function safePart(part: string): string {
  const plain = part
    .toWellFormed()
    .replace(/[\p{Cc}\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\\:*?"<>|]/gu, "_")
    .replace(/^\.+$/, (dots) => "_".repeat(dots.length));
  if (Buffer.byteLength(plain) <= partBytes) return plain;
  const digest = createHash("sha256").update(part).digest("hex").slice(0, 12);
  return `${Buffer.from(plain)
    .subarray(0, partBytes - 20)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")}~${digest}`;
}
