import { test } from "node:test";
import { assertLinear } from "../../test/support/linear.ts";
import { sample } from "../../test/support/sampling.ts";
import { manyLines, oneLine, repositoryText } from "../cli/text.ts";
import type { MapPlaces } from "../config/image-definition.ts";
import { readImageMap } from "../config/parse-image-map.ts";
import { cacheRepository } from "../core/cache/scope.ts";
import { closestName } from "../core/closest-name.ts";
import { findTrouble } from "../core/console-trouble.ts";
import { parseJobRequest } from "../core/job-request.ts";
import { ByteSearch } from "../core/secrets/byte-search.ts";
import { fragmentsOf } from "../core/secrets/fragments.ts";
import { Masker } from "../core/secrets/masker.ts";
import { repositoryName } from "../core/secrets/repository-name.ts";
import { withoutTerminalSequences } from "../core/terminal-sequences.ts";
import { describeConsole } from "./drive/console.ts";
import { ShellMarks } from "./shells/shell-marks.ts";

/** Texts that make patterns of the usual mistakes slow: many beginnings of what they look for, and never its end. */
const hostile: Readonly<Record<string, string>> = {
  "semicolons of a title": ";",
  "beginnings of CSI": "\u001b[1",
  "8-bit beginnings of CSI": "\u009b1;",
  "beginnings of OSC": "\u001b]0;",
  "numbers in an OSC": "\u001b]1;1",
  spaces: " ",
  slashes: "/",
  "line ends": "\r\n",
  "times of a kernel": "[ 1.1] ",
  "Linux, a kill": "Out of memory: Killed process 1 (",
  "FreeBSD, a kill": "pid 1 (a), ",
  "Linux, the summary": "oom-kill:constraint=a,task=b",
  "the summary's tasks": ",task=",
  "Linux, panics": "Kernel panic - not syncing",
  "illumos, panics": "panic[cpu1]/thread=",
  "git's endings": ".git",
  dots: ".",
  "percent signs": "%",
  braces: "{[",
  "a shell's marks": "\u001b_solstice-shell 1 ended ",
  "at signs": "a@",
  letters: "aA1",
};

/** What runs on text that somebody else wrote, whole. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  findTrouble,
  withoutTerminalSequences,
  describeConsole,
  oneLine,
  manyLines,
  repositoryText: (text) => repositoryText(`https://host/${text}x`),
  repositoryName: (text) => repositoryName(`https://host/${text}x`),
  cacheRepository: (text) => cacheRepository(`https://host/${text}x`),
  closestName: (text) => closestName(text, ["debian-12", "openindiana-latest"]),
  "the marks of a shell": (text) => new ShellMarks(7).push(Buffer.from(text)),
};

for (const [name, run] of Object.entries(readers)) {
  test(`${name}: twice the text costs at most 2.5 times as much`, () => {
    for (const piece of sample(name, Object.values(hostile), 8)) {
      for (const [before, after] of [
        ["", "\u0001x"],
        [hostile["the summary's tasks"] ?? "", ""],
      ] as const) {
        const make = (size: number) => before + piece.repeat(Math.ceil(size / piece.length)) + after;
        assertLinear({ make, run, largest: 2 ** 18 });
      }
    }
  });
}

/** Requests with very many wrong parts, in the place that each key names. */
const requests: Readonly<Record<string, (count: number) => object>> = {
  steps: (count) => ({ steps: Array.from({ length: count }, () => ({})) }),
  env: (count) => ({ env: Object.fromEntries(Array.from({ length: count }, (_, at) => [`-${at}`, 1])) }),
  "a name in env": (count) => ({ env: { ["-".repeat(count)]: 1 } }),
  secrets: (count) => ({ secrets: Array.from({ length: count }, () => "") }),
  artifacts: (count) => ({ artifacts: Array.from({ length: count }, () => ({})) }),
  "a pattern": (count) => ({ artifacts: [{ paths: ["/".repeat(count)] }] }),
  caches: (count) => ({ cache: Array.from({ length: count }, () => ({})) }),
  "a cache's path": (count) => ({ cache: { key: "a", paths: [`${"/".repeat(count)}a`] } }),
  "a cache's key": (count) => ({ cache: { key: "{a".repeat(count), paths: ["a"] } }),
  repo_url: (count) => ({ repo_url: `https://${"/".repeat(count)} ` }),
  ref: (count) => ({ ref: `${"a/".repeat(count)} ` }),
  submitted_at: (count) => ({ submitted_at: `2020-01-01T00:00:00.${"0".repeat(count)}` }),
  "unknown keys": (count) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, null])),
};

test("a request with many wrong parts: twice as many cost at most 2.5 times as much", () => {
  for (const make of sample("requests", Object.values(requests), 6)) {
    assertLinear({ make, run: refuse, largest: 2 ** 17 });
  }
});

function refuse(request: object): void {
  try {
    parseJobRequest({ request_id: "0198a4c2-7a51-7c3e-8a11-3c1f2f8f0a01", ...request });
  } catch {
    // What is refused costs time, too.
  }
}

/** Files that make a parser of YAML, or what looks at the names in a map, slow. */
const files: Readonly<Record<string, (size: number) => string>> = {
  keys: (size) => numbered(size / 10, (at) => `k${at}: 1`),
  "keys in braces": (size) => `{${numbered(size / 10, (at) => `k${at}: 1,`)}}`,
  "one key": (size) => "a: 1\n".repeat(size / 5),
  "aliases of aliases": (size) => numbered(size / 24, (at) => `a${at}: &a${at} [*a${at - 1}, *a${at - 1}]`),
  aliases: (size) => `a: &a 1\nb: [${"*a,".repeat(size / 3)}]`,
  "defaults of an anchor": (size) => `x: &a {y: 1}\n${numbered(size / 14, (at) => `k${at}: *a`)}`,
  "lists in lists": (size) => "[".repeat(size),
  "lists in lists, closed": (size) => "[".repeat(size / 2) + "]".repeat(size / 2),
  "maps in maps": (size) => "{a: ".repeat(size / 4),
  "items of items": (size) => "- ".repeat(size / 2),
  "keys of keys": (size) => "? ".repeat(size / 2),
  "what is no YAML": (size) => "] ".repeat(size / 2),
  anchors: (size) => "&a ".repeat(size / 3),
  documents: (size) => "---\n".repeat(size / 4),
  "names that lead nowhere": (size) =>
    `aliases:\n${numbered(size / 24, (at) => `  name-${at}: nowhere-${at}`)}`,
  "a circle of names": (size) => {
    const count = Math.floor(size / 20);
    return `aliases:\n${numbered(count, (at) => `  name-${at}: name-${(at + 1) % count}`)}`;
  },
  "names that lead into a circle": (size) =>
    `aliases:\n  a: b\n  b: a\n${numbered(size / 12, (at) => `  n${at}: a`)}`,
  images: (size) => `images:\n${numbered(size / 30, (at) => `  image-${at}: { nocloud: 1 }`)}`,
};

function numbered(count: number, line: (at: number) => string): string {
  return Array.from({ length: count }, (_, at) => `${line(at)}\n`).join("");
}

const places: MapPlaces = { fileName: "/etc/solstice/map.yaml", dataDir: "/data" };

test("an image map: twice the text costs at most 2.5 times as much", () => {
  for (const make of sample("image maps", Object.values(files), 8)) {
    assertLinear({ make, run: (text) => readImageMap(text, places), largest: 2 ** 19 });
  }
});

test("masking: twice the values, and twice the output, cost at most 2.5 times as much", () => {
  for (const piece of sample("masked texts", Object.values(hostile), 6)) {
    const make = (size: number) => piece.repeat(Math.ceil(size / piece.length));
    assertLinear({ make, run: fragmentsOf, largest: 2 ** 17 });
    const search = new ByteSearch(fragmentsOf(`${make(200)}!secret`));
    assertLinear({ make: (size) => Buffer.from(make(size)), run: (bytes) => new Masker(search).feed(bytes) });
  }
});
