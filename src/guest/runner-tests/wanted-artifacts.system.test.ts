import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isWantedArtifact } from "../../core/request/artifact-match.ts";

const script = fileURLToPath(new URL("../runner/list-files.sh", import.meta.url));

const files = [
  ..."a ab a.txt b.txt .hidden [x] ü dist/a dist/.h/b dist/c/d.txt dist/c/e/f.xml dist/.git/config".split(
    " ",
  ),
  ...".git/config .git/hooks/pre-commit sub/.git/config sub/dist/z x/y/z.xml x/.y/z.xml log/1 log/12 log/a-b".split(
    " ",
  ),
];

const patterns = [
  ..."a a* ?? * .* [ab]* [!a]* [[]x] *.txt dist dist/ dist/* dist/** dist/**/*.xml ** **/* **/*.xml **/dist".split(
    " ",
  ),
  ..."x/**/z.xml log/[0-9] log/[[:digit:]]* log/*[!-]* .git .git/config .git/hooks sub/.git .*/* dist/.* dist/.*/** .*/**/b */c **/.h".split(
    " ",
  ),
  ..."no/such d?st/c ü ?".split(" "),
];

test("the server accepts exactly the files that the guest's script finds for a pattern, all in the checkout", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-wanted-"));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const file of files) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), "");
  }
  const all = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  assert.equal(all.length, files.length);
  for (const pattern of patterns) {
    const output = execFileSync("/bin/sh", [script, "pattern", pattern], {
      cwd: directory,
      encoding: "utf8",
    });
    const listed = [...new Set(output.split("\n").filter((line) => line !== ""))];
    const wanted = [{ pattern, required: true, when: "always" as const }];
    // A shell that reads bytes matches "?" with half of "ü": both results are right.
    const plain = (name: string) => name !== "ü" || pattern === "ü";
    assert.deepEqual(
      all.filter((name) => plain(name) && isWantedArtifact(Buffer.from(name), wanted)).sort(),
      listed
        .map((name) => name.replaceAll("/./", "/"))
        .filter(plain)
        .sort(),
      pattern,
    );
  }
});
