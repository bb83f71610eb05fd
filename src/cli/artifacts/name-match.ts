import {
  type GlobWord,
  matchesWord,
  type PathPart,
  parseGlobWord,
  parsePathPart,
} from "../../core/text/glob-word.ts";

/**
 * True when `name` equals `wanted`, lies below it, or matches it as a pattern: `*`, `?` and `[…]` within one part of a path,
 * `**` for any parts. The pattern is trusted, but a guest chose the name: no name makes the match slow.
 */
export function nameMatches(name: string, wanted: string): boolean {
  if (name === wanted) return true;
  const words = wanted.replace(/\/$/, "").split("/").map(parseGlobWord);
  return beginsWith(name.split("/").map(parsePathPart), words);
}

/** Backtracks only to the last `**`, as {@link matchesWord} does to the last `*`. */
function beginsWith(parts: readonly PathPart[], words: readonly GlobWord[]): boolean {
  let [at, next] = [0, 0];
  let [starAt, starNext] = [0, -1];
  while (next < words.length) {
    const [part, word] = [parts[at], words[next]];
    if (word?.text === "**") {
      starAt = at;
      starNext = next;
      next += 1;
    } else if (part !== undefined && word !== undefined && matchesWord(part, word)) {
      at += 1;
      next += 1;
    } else {
      if (starNext < 0 || starAt >= parts.length) return false;
      starAt += 1;
      at = starAt;
      next = starNext + 1;
    }
  }
  return at < parts.length || words.at(-1)?.text !== "**";
}
