/** Checks that each test that a claim of docs/reference/security.md names exists. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/reference/security.md"), "utf8");

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts"], {
  cwd: root,
  encoding: "utf8",
})
  .trim()
  .split("\n");

/** The tests that the page names: a file, and the title of a test in it, at least its first words. */
function namedTests(): { file: string; title: string }[] {
  const named = [...page.matchAll(/`([\w.-]+\.ts)`: ((?:"[^"]+"(?:, )?)+)/g)];
  return named.flatMap(([, file = "", titles = ""]) =>
    [...titles.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => ({ file, title: title.replace(/…$/, "") })),
  );
}

test("docs/reference/security.md names tests that exist", () => {
  const named = namedTests();
  assert.ok(named.length >= 20, `only ${named.length} tests are named`);
  for (const { file, title } of named) {
    const paths = files.filter(
      (path) => basename(path).replace(".system.", ".") === file || basename(path) === file,
    );
    assert.notEqual(paths.length, 0, `there is no ${file}`);
    const isThere = paths.some((path) => readFileSync(join(root, path), "utf8").includes(title));
    assert.ok(isThere, `${file} has no test that is called "${title}"`);
  }
});
