import { createHash } from "node:crypto";

/** A part of a path is cut at this length, in bytes: file systems take 255, and a part file adds some. */
const partBytes = 180;

/** Parts of one path: deeper ones are joined. */
const partsMax = 64;

/**
 * Where files with names of somebody else go below a directory of ours: for each a relative path of plain parts, no two the
 * same, also where letters' case does not tell files apart. No part begins with a dot: programs run what is in `.git`,
 * `.vscode`, `.envrc` and many more such places, and nobody has a list of all. None begins with a dash, which a command that
 * is given `*` reads as an option. A harmless name stays as it is.
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
    // Some file systems drop these.
    .replace(/[.\s]$/, "_");
  if (Buffer.byteLength(plain) <= partBytes) return plain;
  const digest = createHash("sha256").update(part).digest("hex").slice(0, 12);
  return `${Buffer.from(plain)
    .subarray(0, partBytes - 20)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")}~${digest}`;
}
