// Counts the words that CONTRIBUTING.md advises against, in comments, messages and pages. A count above the one in
// scripts/words-allowed.json fails. Usage: node scripts/check-words.ts [--list WORDS | --accept]
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const root = join(import.meta.dirname, "..");
const allowedFile = join(root, "scripts/words-allowed.json");

/** Each kind of words, with the advice what to write instead. */
const kinds = {
  speech: {
    pattern:
      /\b(hears?|heard|tells?|told|telling|knows?|knew|hop(?:es?|ed)|asks?|asked|asking|believes?|believed|wish(?:es|ed)?|farewell|at home|looks? away|bears? with)\b/gi,
    advice: "A machine reports, receives, records, requests or polls; people hear, tell, know, hope and ask.",
  },
  negation: {
    pattern:
      /\b(nobody(?:'s)?|anew|mend(?:s|ed|ing)?|(?:is|are|was|were) none|none that is|is nothing of|no one)\b/gi,
    advice:
      "State what is true: 'no notification is sent' instead of 'nobody is told'; repair, correct, again.",
  },
  headless: {
    pattern:
      /(?<=^)(?:What|Who|Whoever|Whatever|Whose|Which|Where|Whether|How|Why|That)\b(?=[^.?!:;]*[.:;]?(?:$| [A-Z`{]))/g,
    advice: "Begin a comment with a noun phrase or a sentence that has a subject and a verb.",
  },
} as const;

type Kind = keyof typeof kinds;
type Counts = Record<string, Partial<Record<Kind, number>>>;

const print = (line: string) => process.stdout.write(`${line}\n`);

interface Place {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** The prose of a file: its comments, one text each, and its strings that hold a sentence or a part of one. */
function proseOf(file: string): Place[] {
  const text = readFileSync(join(root, file), "utf8");
  if (file.endsWith(".md"))
    return text.split("\n").map((line, index) => ({ file, line: index + 1, text: line }));
  const comments = file.endsWith(".ts")
    ? /\/\*\*?([\s\S]*?)\*\/|((?:^[ \t]*\/\/.*\n?)+)|[ \t]\/\/ (.*)$/gm
    : /((?:^[ \t]*#(?!!).*\n?)+)/gm;
  const found = [...text.matchAll(comments)].map((match) => place(file, text, match));
  return file.endsWith(".ts") ? [...found, ...stringsOf(file, text)] : found;
}

function stringsOf(file: string, text: string): Place[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const strings: Place[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
      if (/\w \w/.test(node.text)) strings.push({ file, line: line + 1, text: JSON.stringify(node.text) });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return strings;
}

/** A comment without its stars and slashes, in one line. */
function place(file: string, text: string, match: RegExpMatchArray): Place {
  const line = text.slice(0, match.index).split("\n").length;
  const bare = match[0].replace(/^[ \t]*(?:\/\*\*?|\*\/|\*|\/\/|#)[ \t]?|\*\/[ \t]*$/gm, "");
  return { file, line, text: bare.replace(/\s+/g, " ").trim() };
}

const files = execFileSync("git", ["ls-files", "src", "test", "bench", "scripts", "docs", "*.md"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => /\.(ts|sh|md)$/.test(file) && !/^(src\/gen\/|CHANGELOG)|check-words\.ts$/.test(file));

/** The part of the tree that a file is counted in, such as `src` or `docs`. */
const areaOf = (file: string) => (file.endsWith(".md") ? "docs" : (file.split("/")[0] ?? ""));

const counts: Counts = {};
const found: (Place & { kind: Kind; words: string })[] = [];
let commentWords = 0;
for (const prose of files.flatMap(proseOf)) {
  if (areaOf(prose.file) === "src" && !/^["`]/.test(prose.text)) commentWords += prose.text.split(" ").length;
  for (const [kind, { pattern }] of Object.entries(kinds) as [Kind, (typeof kinds)[Kind]][]) {
    if (kind === "headless" && (prose.file.endsWith(".md") || /^["`]/.test(prose.text))) continue;
    for (const [words] of prose.text.matchAll(pattern)) found.push({ ...prose, kind, words });
  }
}
for (const { file, kind } of found) {
  const area = areaOf(file);
  counts[area] = { ...counts[area], [kind]: (counts[area]?.[kind] ?? 0) + 1 };
}

if (process.argv.includes("--list")) {
  const wanted = process.argv.slice(process.argv.indexOf("--list") + 1);
  const isWanted = ({ file, kind }: (typeof found)[number]) =>
    wanted.length === 0 || wanted.some((word) => file.startsWith(word) || kind === word);
  for (const { file, line, kind, words, text } of found.filter(isWanted))
    print(`${file}:${line}: ${kind} '${words}': ${text.slice(0, 160)}`);
} else if (process.argv.includes("--accept")) {
  writeFileSync(allowedFile, `${JSON.stringify(counts, null, 2)}\n`);
} else {
  process.exitCode = compare(JSON.parse(readFileSync(allowedFile, "utf8")) as Counts);
}

function compare(allowed: Counts): number {
  const per1000 = (kind: Kind) => (((counts.src?.[kind] ?? 0) / commentWords) * 1000).toFixed(1);
  print(
    `in src, per 1,000 words of comments: ${Object.keys(kinds)
      .map((kind) => `${kind} ${per1000(kind as Kind)}`)
      .join(", ")}`,
  );
  let status = 0;
  for (const [area, kindsOfArea] of Object.entries(counts)) {
    for (const [kind, count] of Object.entries(kindsOfArea) as [Kind, number][]) {
      const limit = allowed[area]?.[kind] ?? 0;
      if (count <= limit) continue;
      status = 1;
      print(`${area}: ${count} × ${kind}, ${limit} allowed. ${kinds[kind].advice}`);
      print(`  node scripts/check-words.ts --list ${area} shows them.`);
    }
  }
  return status;
}
