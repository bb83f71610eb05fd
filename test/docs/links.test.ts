/** Checks the links of the documents to files and headings of this repository, and the length of their lines. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

const pages = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)))
  .map((path) => join(root, path));

/** Links in code blocks are text, not links. */
function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "code");
}

/** The anchors of a page's headings, as the usual viewers make them. */
function anchorsOf(markdown: string): string[] {
  const headings = markdown.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The problems of one page's links, a sentence each. */
function brokenLinks(page: string): string[] {
  const links = [...withoutCode(readFileSync(page, "utf8")).matchAll(/\]\(([^)\s]+)\)/g)];
  return links.flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? page : join(dirname(page), path);
    const problem = problemOf(target, anchor);
    return problem === null ? [] : [`${relative(root, page)}: ${link}: ${problem}`];
  });
}

function problemOf(target: string, anchor: string | undefined): string | null {
  if (!existsSync(target)) return "there is no such file";
  if (anchor === undefined || statSync(target).isDirectory()) return null;
  return anchorsOf(readFileSync(target, "utf8")).includes(anchor) ? null : "there is no such heading";
}

test("the target of every link between documents exists", () => {
  assert.deepEqual(pages.flatMap(brokenLinks), []);
});

test("every source file that a document names exists", () => {
  const named = /`((?:src|test|deploy|scripts|proto)\/[\w./-]+)`/g;
  const missing = pages.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(named)]
      // A recipe writes NAME for a name that its reader chooses.
      .filter(([, path = ""]) => !path.includes("NAME") && !existsSync(join(root, path)))
      .map(([, path]) => `${relative(root, page)}: ${path}`),
  );
  assert.deepEqual(missing, []);
});

/** Length limit of a line of prose: two pages fit side by side on a screen, and diffs are short. */
const proseColumnsMax = 119;

test("no line of prose is longer than 119 columns; tables and code may be", () => {
  const prose = pages.filter((page) => /^(docs\/.*|README|CONTRIBUTING)\.md$/.test(relative(root, page)));
  const tooLong = prose.flatMap((page) => {
    const lines = readFileSync(page, "utf8")
      .replace(/^```[\s\S]*?^```/gm, (code) => "\n".repeat(code.split("\n").length - 1))
      .split("\n");
    return lines.flatMap((line, index) =>
      line.length <= proseColumnsMax || line.startsWith("|") ? [] : [`${relative(root, page)}:${index + 1}`],
    );
  });
  assert.ok(prose.length > 25, "pages were looked at");
  assert.deepEqual(tooLong, []);
});
