import type { TranscriptEntry } from "./entry.ts";

/** What names things that each run names differently; each is replaced by the word and a number. */
const names: readonly [word: string, pattern: RegExp][] = [
  ["UUID", /\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b/g],
  ["JOB", /\b(t[0-9a-f]{16})\b/g],
  // dladm puts a backslash before each colon where its output is for machines.
  ["MAC", /\b([0-9a-f]{1,2}(?:\\?:[0-9a-f]{1,2}){5})\b/g],
  ["CARD", /\b(sol[0-9a-f]{6}v\d{1,4})\b/g],
  ["DIRECTORY", /((?:\/var)?\/tmp\/[A-Za-z]+-[A-Za-z0-9_-]+)/g],
  ["DIGEST", /\b([0-9a-f]{32,128})\b/g],
];

/** Numbers that say how large, when or who, and differ by nature: a count of bytes, a time, a process. */
const bigNumber = /\b\d{6,}\b/g;

/** The number of a running zone, with which its line begins. */
const zoneNumber = /^[1-9]\d*(?=:[^:]+:[a-z_]+:\/)/gm;

/** What dd says that it copied. */
const copied = /\b\d+\+\d+ records\b/g;

/** Where the stand-in has what is at the root of a real host. */
const standInRoot = /\/tmp\/si-\w+(?=\/)/g;

/** Words of the host itself, which the operator chose: `POOL` for the dataset that guests live below, and so on. */
export type Chosen = Readonly<Record<string, string>>;

/**
 * Replaces what differs from run to run by nature: ids, times, sizes, directories; the same thing by the same word all
 * through. `chosen` is what the operator of the host chose: word -> text.
 */
export function normalise(entries: readonly TranscriptEntry[], chosen: Chosen = {}): TranscriptEntry[] {
  const known = new Map<string, string>();
  const counts = new Map<string, number>();
  const nameOf = (word: string, text: string) => {
    const name = known.get(text);
    if (name !== undefined) return name;
    const count = (counts.get(word) ?? 0) + 1;
    counts.set(word, count);
    known.set(text, `${word}${count}`);
    return `${word}${count}`;
  };
  const replaced = (text: string): string => {
    let result = text.replace(standInRoot, "");
    for (const [word, chosenText] of Object.entries(chosen)) result = result.replaceAll(chosenText, word);
    for (const [word, pattern] of names) result = result.replace(pattern, (found) => nameOf(word, found));
    return result.replace(zoneNumber, "ZONE").replace(copied, "NUMBER records").replace(bigNumber, "NUMBER");
  };
  return entries.map((entry) => ({
    ...entry,
    arguments: entry.arguments.map(replaced),
    stdout: replaced(entry.stdout),
    stderr: replaced(entry.stderr),
    ms: 0,
  }));
}
