import {
  type GlobWord,
  matchesWord,
  type PathPart,
  parseGlobWord,
  parsePathPart,
} from "../text/glob-word.ts";
import type { PlannedArtifact } from "./artifacts.ts";

/**
 * True when a name, as the bytes that a guest sent, matches a pattern of the request. Agrees with `list-files.sh` in
 * the guest: a pattern that names a directory matches all files in it, outside of `.git`. A shell there reads names as
 * UTF-8 or as bytes, by its locale: a name that matches in either reading matches.
 */
export function isWantedArtifact(name: Uint8Array, artifacts: readonly PlannedArtifact[]): boolean {
  const bytes = Buffer.from(name);
  const readings = bytes.every((byte) => byte < 0x80) ? (["latin1"] as const) : (["utf8", "latin1"] as const);
  return readings.some((reading) => {
    const parts = partsOf(bytes.toString(reading));
    return (
      parts !== null &&
      artifacts.some(({ pattern }) => matchesPattern(parts, Buffer.from(pattern).toString(reading)))
    );
  });
}

/** No file system has a longer file name, in bytes, and no real path has more parts. */
const partBytes = 255;
const partsMax = 128;

/** The parts of a relative path that stays below its root; null for any other path. */
function partsOf(path: string): PathPart[] | null {
  const parts = path.split("/").filter((part) => part !== ".");
  if (parts.length === 0 || parts.length > partsMax || parts.includes("..")) return null;
  if (parts.some((part) => part === "" || part.length > partBytes)) return null;
  return parts.map(parsePathPart);
}

function matchesPattern(name: readonly PathPart[], pattern: string): boolean {
  const wanted = pattern
    .split("/")
    .filter((part) => part !== "")
    .map(parseGlobWord);
  const gap = wanted.findIndex(({ text }) => text === "**");
  if (gap < 0) return beginsWith(name, wanted);
  const [before, after] = [wanted.slice(0, gap), wanted.slice(gap + 1)];
  if (name.length <= gap || !before.every((word, at) => fits(name[at], word))) return false;
  if (gap > 0 && isGitDirectory(name[gap - 1])) return false;
  for (let rest = name.slice(gap); rest.length > 0; rest = rest.slice(1)) {
    if (beginsWith(rest, after)) return true;
    // "**" enters each directory except this one.
    if (isGitDirectory(rest[0])) return false;
  }
  return false;
}

/** True when a path begins with the wanted parts; deeper files are in a directory that these parts name. */
function beginsWith(path: readonly PathPart[], wanted: readonly GlobWord[]): boolean {
  if (path.length < wanted.length || !wanted.every((word, at) => fits(path[at], word))) return false;
  return path.length === wanted.length || !path.slice(Math.max(0, wanted.length - 1)).some(isGitDirectory);
}

function fits(part: PathPart | undefined, word: GlobWord): boolean {
  return part !== undefined && matchesWord(part, word);
}

function isGitDirectory(part: PathPart | undefined): boolean {
  return part?.text === ".git";
}
