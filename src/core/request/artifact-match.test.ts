import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLinear } from "../../../test/support/linear.ts";
import { isWantedArtifact } from "./artifact-match.ts";
import type { PlannedArtifact } from "./artifacts.ts";

const wanted = (pattern: string): PlannedArtifact => ({ pattern, required: true, when: "always" });
const matches = (pattern: string, name: string | Buffer) =>
  isWantedArtifact(Buffer.from(name as string), [wanted(pattern)]);

/** Names that a pattern matches, and names that it does not match. */
const cases: Record<string, [matching: string[], other: string[]]> = {
  dist: [
    ["dist", "dist/a", "dist/a/.b", "./dist/a"],
    ["district", "a/dist", "dist/.git/config", "dist/x/.git"],
  ],
  "dist/": [["dist/a"], ["dis"]],
  ".*": [
    [".a", ".a/b"],
    ["a", ".git/x"],
  ],
  "dist/**": [
    ["dist/a", "dist/a/b/c", "dist/.x/y"],
    ["dist", "a/dist/b", "dist/.git/hooks/x"],
  ],
  "**": [
    ["a", ".a/b", "a/.b"],
    [".git", ".git/config", "a/.git/config"],
  ],
  "**/*.xml": [
    ["a.xml", "x/y/a.xml", ".h/a.xml", "d.xml/in"],
    [".a.xml", "a.xml~", ".git/a.xml"],
  ],
  "a/**/b-?[0-9].txt": [
    ["a/b-x1.txt", "a/c/d/b-é9.txt"],
    ["a/b-1.txt", "b-x1.txt", "a/b-xx.txt"],
  ],
  ".git/config": [[".git/config"], [".git/other", ".git/config2"]],
  ".git": [[".git"], [".git/config"]],
  "[!a-c]x[]]": [["dx]"], ["ax]", "dx[", "x]"]],
  "[[:digit:]-]": [
    ["1", "-"],
    ["a", "[", ":"],
  ],
  "a[b": [["a[b"], ["ab"]],
  "a[1].txt": [["a1.txt", "a[1].txt"], ["a2.txt"]],
  "*a*b": [
    ["ab", "xaybzb"],
    ["abx", "ba"],
  ],
  "core.*": [
    ["core.1", "core./x"],
    ["core", "x/core.1"],
  ],
};

for (const [pattern, [matching, other]] of Object.entries(cases)) {
  test(`names that ${pattern} matches`, () => {
    for (const name of matching) assert.ok(matches(pattern, name), name);
    for (const name of other) assert.ok(!matches(pattern, name), name);
  });
}

test("no pattern matches a name outside the checkout", () => {
  for (const name of ["/a", "../a", "a/../b", "a//b", "", ".", "a/"]) assert.ok(!matches("**", name), name);
  assert.ok(!matches("*", ".."));
});

test("bytes that are not UTF-8, and characters that a shell reads as bytes", () => {
  assert.ok(matches("dist/?", Buffer.from([...Buffer.from("dist/"), 0xff])));
  assert.ok(matches("?", "ü") && matches("??", "ü") && !matches("???", "ü"));
});

test("twice as many patterns cost at most 2.5 times as much, for any patterns", () => {
  for (const [pattern, name] of [
    [`${"*a".repeat(100)}b`, "a".repeat(255)],
    [`*${"a".repeat(126)}b`, "a".repeat(255)],
    [`*${"[!b]".repeat(120)}c`, "a".repeat(255)],
    [`**/${"a/".repeat(63)}b`, "a/".repeat(127).concat("a")],
    ["[[:".repeat(166), "[:"],
  ] as const) {
    assertLinear({
      make: (size) => Array.from({ length: size / 512 }, () => wanted(pattern)),
      run: (many) => isWantedArtifact(Buffer.from(name), many),
      largest: 2 ** 18,
    });
  }
});

test("no pattern matches a path that is too long for a file system", () => {
  assert.ok(matches("**", "a/".repeat(127).concat("a")) && !matches("**", "a/".repeat(128).concat("a")));
  assert.ok(matches("*", "x".repeat(255)) && !matches("*", "x".repeat(256)));
});
