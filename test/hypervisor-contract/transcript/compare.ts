import type { TranscriptEntry } from "./entry.ts";
import { onlyLooks } from "./looks.ts";

/** Where two runs of the suite differ. */
export interface Difference {
  readonly test: string;
  /** The command as it was given, normalised. */
  readonly command: string;
  readonly what: string;
  readonly mine: string;
  readonly theirs: string;
}

/**
 * Compares two normalised transcripts, test by test: which commands that change something were run in which order, how each
 * ended and what it said; and what the commands said that only look.
 */
export function compareTranscripts(
  mine: readonly TranscriptEntry[],
  theirs: readonly TranscriptEntry[],
): Difference[] {
  const tests = new Set([...mine, ...theirs].map(({ test }) => test));
  return [...tests].flatMap((test) => {
    const [ours, others] = [mine, theirs].map((entries) => entries.filter((entry) => entry.test === test));
    if (!ours?.length || !others?.length) {
      const [there, missing] = ours?.length ? ["run", "not run"] : ["not run", "run"];
      return [{ test, command: "", what: "the test", mine: there ?? "", theirs: missing ?? "" }];
    }
    return [...compareChanges(test, ours, others), ...compareLooks(test, ours, others)];
  });
}

function compareChanges(
  test: string,
  mine: readonly TranscriptEntry[],
  theirs: readonly TranscriptEntry[],
): Difference[] {
  const differences: Difference[] = [];
  for (const [ours, other] of align(mine.filter(isChange), theirs.filter(isChange))) {
    const command = textOf(ours ?? other);
    const report = (what: string, a: unknown, b: unknown) =>
      differences.push({ test, command, what, mine: String(a), theirs: String(b) });
    if (!ours || !other) {
      report(
        "the order of commands",
        ours ? "run here" : "not run here",
        other ? "run here" : "not run here",
      );
      continue;
    }
    if (ours.exitCode !== other.exitCode) report("the exit code", ours.exitCode, other.exitCode);
    if (ours.stdout !== other.stdout) report("the output", ours.stdout, other.stdout);
    if (ours.stderr !== other.stderr) report("the words of its error", ours.stderr, other.stderr);
  }
  return differences;
}

function compareLooks(
  test: string,
  mine: readonly TranscriptEntry[],
  theirs: readonly TranscriptEntry[],
): Difference[] {
  const [ours, others] = [saidByCommand(mine), saidByCommand(theirs)];
  const differences: Difference[] = [];
  for (const command of new Set([...ours.keys(), ...others.keys()])) {
    const [a, b] = [ours.get(command), others.get(command)];
    // Whether it was asked at all may be a matter of time too.
    if (!a || !b) continue;
    const onlyA = [...a].filter((line) => !b.has(line));
    const onlyB = [...b].filter((line) => !a.has(line));
    if (onlyA.length + onlyB.length === 0) continue;
    differences.push({
      test,
      command,
      what: "what it shows",
      mine: onlyA.join("\n"),
      theirs: onlyB.join("\n"),
    });
  }
  return differences;
}

/** All lines that each command showed in a test. */
function saidByCommand(entries: readonly TranscriptEntry[]): Map<string, Set<string>> {
  const said = new Map<string, Set<string>>();
  for (const entry of entries.filter((one) => !isChange(one))) {
    const lines = said.get(textOf(entry)) ?? new Set();
    said.set(textOf(entry), lines);
    lines.add(`(exit code ${entry.exitCode})`);
    for (const line of `${entry.stdout}\n${entry.stderr}`.split("\n")) if (line !== "") lines.add(line);
  }
  return said;
}

/** How often a command looks, and when, is a matter of time: of those only what they show is compared. */
function isChange(entry: TranscriptEntry): boolean {
  return !onlyLooks(entry.command, entry.arguments);
}

function textOf(entry: TranscriptEntry | undefined): string {
  return entry === undefined ? "" : [entry.command, ...entry.arguments].join(" ");
}

type Pair = [TranscriptEntry | undefined, TranscriptEntry | undefined];

/** Pairs the commands of two runs that are the same, in order: the longest common sequence; the others stand alone. */
function align(mine: readonly TranscriptEntry[], theirs: readonly TranscriptEntry[]): Pair[] {
  const [a, b] = [mine.map(textOf), theirs.map(textOf)];
  const length = commonLengths(a, b);
  const pairs: Pair[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) pairs.push([mine[i++], theirs[j++]]);
    else if (j >= b.length || (i < a.length && at(length, i + 1, j) >= at(length, i, j + 1)))
      pairs.push([mine[i++], undefined]);
    else pairs.push([undefined, theirs[j++]]);
  }
  return pairs;
}

/** How long the longest common sequence of `a` from i and `b` from j is. */
function commonLengths(a: readonly string[], b: readonly string[]): number[][] {
  const length = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = length[i] as number[];
      row[j] =
        a[i] === b[j] ? at(length, i + 1, j + 1) + 1 : Math.max(at(length, i + 1, j), at(length, i, j + 1));
    }
  }
  return length;
}

function at(length: number[][], i: number, j: number): number {
  return length[i]?.[j] ?? 0;
}

/** Words for a person: a test's name, and below it each of its differences. */
export function describeDifferences(differences: readonly Difference[]): string[] {
  const tests = [...new Set(differences.map(({ test }) => test))];
  return tests.flatMap((test) => [
    `\n${test}`,
    ...differences
      .filter((difference) => difference.test === test)
      .map(({ command, what, mine, theirs }) =>
        [`  ${what}: ${command}`, ...indented("mine:  ", mine), ...indented("theirs:", theirs)].join("\n"),
      ),
  ]);
}

function indented(label: string, text: string): string[] {
  const [first = "", ...more] = text.trimEnd().split("\n");
  return [`    ${label} ${first}`, ...more.map((line) => `            ${line}`)];
}
