import { createHash } from "node:crypto";

/** Longest part of a path, in bytes: file systems allow 255, and the name of a partial file is longer. */
const partBytes = 180;

/** Most parts of one path; further parts are joined. */
const partsMax = 64;

/**
 * Safe relative paths for untrusted file names, in order. No two paths are equal, also on file systems that ignore case. No
 * part begins with a dot: programs run files in `.git`, `.vscode`, `.envrc` and many more places, and no list of them is
 * complete. No part begins with a dash: a command with the argument `*` would read it as an option. A harmless name is not
 * changed.
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
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\:*?"<>|]/gu, "_")
    .replace(/^[.\s-]+/, (marks) => "_".repeat(marks.length))
    // Some file systems drop a dot or a space at the end.
    .replace(/[.\s]$/, "_");
  if (Buffer.byteLength(plain) <= partBytes) return plain;
  const digest = createHash("sha256").update(part).digest("hex").slice(0, 12);
  return `${Buffer.from(plain)
    .subarray(0, partBytes - 20)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")}~${digest}`;
}
