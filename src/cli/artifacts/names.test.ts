import assert from "node:assert/strict";
import { isAbsolute, join, normalize } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { nameMatches } from "./name-match.ts";
import { safePaths } from "./safe-path.ts";

test("a harmless name is not changed", () => {
  const names = ["a", "dist/app.deb", "a..b/c.d-e", "with space", "ü/ö", "Makefile"];
  assert.deepEqual(safePaths(names), names);
});

test("a hostile name becomes a plain one", () => {
  assert.deepEqual(safePaths(["../../x", "/etc/passwd", "a/../../b", "a\nb\u001b[2J", "..", "/", "C:\\x"]), [
    "__/__/x",
    "etc/passwd",
    "a/__/__/b",
    "a_b_[2J",
    "__",
    "_",
    "C__x",
  ]);
  assert.deepEqual(
    safePaths([".git/config", "x/.envrc", "..vscode", "--checkpoint=1", " .git", "\u200c.git", "a. "]),
    ["_git/config", "x/_envrc", "__vscode", "__checkpoint=1", "__git", "_.git", "a._"],
  );
  assert.deepEqual(safePaths(["A", "a", "a"]), ["A", "a~2", "a~3"]);
  const long = safePaths(["x".repeat(4096), `${"x".repeat(4095)}y`, "a/".repeat(2000)]);
  for (const path of long) assert.ok(path.split("/").every((part) => Buffer.byteLength(part) <= 200));
  assert.notEqual(long[0], long[1]);
});

test("every name gives a path below the directory, and no two names the same path", () => {
  const part = fc.oneof(fc.constantFrom("..", ".", "", "a", "A", "\\", "\0"), fc.string({ unit: "binary" }));
  const name = fc.array(part, { maxLength: 6 }).map((parts) => parts.join("/"));
  fc.assert(
    fc.property(fc.array(name, { maxLength: 8 }), (names) => {
      const paths = safePaths(names);
      for (const path of paths) {
        assert.ok(!isAbsolute(path) && path !== "" && !/[\p{Cc}\p{Cf}]/u.test(path));
        assert.ok(path.split("/").every((each) => !/^[.-]/.test(each)));
        assert.ok(join("/dir", path).startsWith("/dir/"));
        assert.equal(normalize(path), path);
      }
      assert.equal(new Set(paths.map((path) => path.toLowerCase())).size, paths.length);
    }),
  );
});

test("names match by their full name, their directory, or a pattern", () => {
  assert.ok(nameMatches("dist/a.deb", "dist/a.deb"));
  assert.ok(nameMatches("dist/a.deb", "dist"));
  assert.ok(nameMatches("dist/x/a.deb", "dist/"));
  assert.ok(nameMatches("dist/a.deb", "dist/*.deb"));
  assert.ok(nameMatches("dist/x/y/a.deb", "**/*.deb"));
  assert.ok(nameMatches("a[1].txt", "a[1].txt"));
  assert.ok(!nameMatches("dist/x/a.deb", "dist/*.deb"));
  assert.ok(nameMatches("dist/x/y/a.deb", "**/y") && nameMatches("a/b/c/d", "a/**/c/d"));
  assert.ok(
    !nameMatches("district", "dist") && !nameMatches("dist", "dist/**") && !nameMatches("a/b", "**/c"),
  );
});
