import assert from "node:assert/strict";
import { test } from "node:test";
import { artifactsOf, artifactsSchema } from "./artifacts.ts";

const accepts = (pattern: string) => artifactsSchema.safeParse([{ paths: [pattern] }]).success;

test("patterns are relative, plain, and stay below the checkout", () => {
  for (const pattern of [
    "dist",
    "dist/",
    "dist/**",
    "**/*.xml",
    "a/**/b-?[0-9].txt",
    "-rf",
    "with space",
    "..a/b..",
    "ü",
  ])
    assert.ok(accepts(pattern), pattern);
  for (const pattern of [
    "",
    "/etc/passwd",
    "~/x",
    "..",
    "a/../b",
    "a//b",
    "a\\b",
    "a\nb",
    "a\0b",
    "dist/**.js",
    "**/a/**",
    "x".repeat(501),
  ])
    assert.ok(!accepts(pattern), JSON.stringify(pattern));
});

test("by default an entry is required and always kept; entries have limits", () => {
  const artifacts = artifactsSchema.parse([
    { paths: ["a", "b"] },
    { paths: ["c"], required: false, when: "failure" },
  ]);
  assert.deepEqual(artifactsOf({ artifacts }), [
    { pattern: "a", required: true, when: "always" },
    { pattern: "b", required: true, when: "always" },
    { pattern: "c", required: false, when: "failure" },
  ]);
  assert.deepEqual(artifactsOf({}), []);
  const dotted = artifactsSchema.parse([{ paths: ["./dist/./*", ".", "./", "dist/"] }]);
  assert.deepEqual(
    artifactsOf({ artifacts: dotted }).map(({ pattern }) => pattern),
    ["dist/*", "**", "**", "dist/"],
  );
  const many = Array.from({ length: 3 }, () => ({ paths: Array.from({ length: 40 }, () => "a") }));
  assert.ok(!artifactsSchema.safeParse(many).success);
  assert.ok(!artifactsSchema.safeParse([{ paths: [] }]).success);
  assert.ok(!artifactsSchema.safeParse([{ paths: ["a"], when: "never" }]).success);
});
