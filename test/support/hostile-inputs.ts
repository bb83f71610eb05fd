/** Texts that make typical wrong patterns slow: many beginnings of a match without its end. */
export const hostileTexts: Readonly<Record<string, string>> = {
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

/** Requests with very many invalid parts, in the field that each key names. */
export const hostileRequests: Readonly<Record<string, (count: number) => object>> = {
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

/** Files that slow down a YAML parser, or the check of the names in a map. */
export const hostileMaps: Readonly<Record<string, (size: number) => string>> = {
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
  "invalid YAML": (size) => "] ".repeat(size / 2),
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
