import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isExpansionOf, type KeyPart, parseCacheKey } from "./key.ts";
import { cacheLookups, endOfPrefix, restoreOutcome } from "./lookup.ts";
import { cachePathProblem, splitByRoot } from "./path.ts";
import { cacheRef, cacheRepository, cacheScopeOf, readableRefs } from "./scope.ts";
import { type EvictableEntry, planEviction, planSpace } from "./space.ts";

function partsOf(text: string): readonly KeyPart[] {
  const parsed = parseCacheKey(text);
  if ("problem" in parsed) assert.fail(parsed.problem);
  return parsed.parts;
}

test("a key is text and hashes of files", () => {
  assert.deepEqual(partsOf("npm"), ["npm"]);
  assert.deepEqual(partsOf("npm-{hash:package-lock.json}"), ["npm-", { file: "package-lock.json" }]);
  assert.deepEqual(partsOf("{hash:a b/ü}.{hash:c}"), [{ file: "a b/ü" }, ".", { file: "c" }]);
});

test("an invalid key is refused with the reason", () => {
  for (const [text, problem] of [
    ["", /1 to 200/],
    ["x".repeat(201), /1 to 200/],
    ["a b", /letters, digits/],
    ["a\n", /letters, digits/],
    ["a'$(id)", /letters, digits/],
    ["a{", /braces/],
    ["a}", /letters, digits/],
    ["{hash:}", /braces/],
    ["{env:HOME}", /braces/],
    ["{hash:{hash:a}}", /braces/],
    ["{hash:/etc/passwd}", /absolute/],
    ["{hash:../x}", /empty part/],
    ["{hash:a\u0000b}", /control/],
    ["{hash:a}".repeat(11), /at most 10 files/],
  ] as const) {
    const parsed = parseCacheKey(text);
    assert.ok("problem" in parsed, text);
    assert.match(parsed.problem, problem);
  }
});

const hash = fc.stringMatching(/^[0-9a-f]{32}$/);
const literal = fc.stringMatching(/^[A-Za-z0-9._/@+:=,-]{1,20}$/);

test("a guest may fill the hashes into a key, and change nothing else", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(literal, hash), { minLength: 1, maxLength: 6 }),
      literal,
      (pieces, other) => {
        const parts = pieces.map((piece): KeyPart => (/^[0-9a-f]{32}$/.test(piece) ? { file: "f" } : piece));
        const key = pieces.join("");
        assert.ok(isExpansionOf(key, parts));
        assert.ok(
          isExpansionOf(
            pieces.map((piece, at) => (typeof parts[at] === "string" ? piece : "none")).join(""),
            parts,
          ),
        );
        assert.ok(!isExpansionOf(`${key}${other}`, parts));
        assert.ok(!isExpansionOf(`${key}\n`, parts));
      },
    ),
  );
  assert.ok(!isExpansionOf("aXb", ["a.b"]));
  assert.ok(!isExpansionOf(`npm-${"g".repeat(32)}`, partsOf("npm-{hash:x}")));
});

test("paths stay below the checkout or the home directory", () => {
  for (const path of ["node_modules", "a/b c", "~/.npm", "-rf", "a'b", "..a", "~/~"]) {
    assert.equal(cachePathProblem(path), null, path);
  }
  for (const path of [
    "",
    "/etc",
    "..",
    "a/../b",
    ".",
    "./a",
    "a//b",
    "~",
    "~root/x",
    "~/",
    "~/../x",
    "a\nb",
  ]) {
    assert.notEqual(cachePathProblem(path), null, path);
  }
  assert.deepEqual(splitByRoot(["a", "~/.b/c"]), { checkout: ["a"], home: [".b/c"] });
});

test("all spellings of a repository's URL have the same scope, without password; other repositories have another", () => {
  const known = cacheRepository("https://git.example.org/Team/app");
  for (const url of [
    "https://git.example.org/Team/app.git",
    "HTTPS://Git.Example.ORG/Team/app/",
    "https://user:secret@git.example.org/Team/app.git/",
    "https://a@b:secret@git.example.org/Team/app",
  ]) {
    assert.equal(cacheRepository(url), known);
  }
  for (const url of [
    "https://git.example.org/team/app",
    "https://git.example.org:8443/Team/app",
    "http://git.example.org/Team/app",
    "ssh://git@git.example.org/Team/app",
    "https://git.example.org/Team/app.git.git",
    "https://evil.example/git.example.org/Team/app",
    "https://evil.example?@git.example.org/Team/app",
  ]) {
    assert.notEqual(cacheRepository(url), known, url);
  }
  assert.equal(cacheRepository("ssh://git:secret@h/a.git"), "ssh://git@h/a");
  assert.equal(cacheRepository("git@h:/a.git"), "ssh://git@h/a");
  assert.equal(cacheRepository("[git@H:22]:a"), cacheRepository("ssh://git@h:22/~/a.git"));
  assert.notEqual(
    cacheRepository("git@h:a"),
    cacheRepository("git@h:/a"),
    "below the login's home, or the root",
  );
  assert.notEqual(cacheRepository("ssh://other@h/a"), cacheRepository("ssh://git@h/a"));
  assert.equal(cacheRepository(undefined), "");
});

test("a job reads what its own ref and the shared refs saved, its own first", () => {
  assert.equal(cacheRef("refs/heads/main"), "main");
  assert.equal(cacheRef("refs/pull/5/head"), "refs/pull/5/head");
  assert.equal(cacheRef(undefined), "");
  assert.deepEqual(readableRefs("topic", ["main", "master"]), ["topic", "main", "master"]);
  assert.deepEqual(readableRefs("main", ["main", "master"]), ["main", "master"]);
  const scope = cacheScopeOf({ image: "debian-12", request: { repo_url: "https://h/a", ref: "main" } });
  assert.deepEqual(scope, { repository: "https://h/a", image: "debian-12", ref: "main" });
});

test("the key comes first, then the restore keys in their order", () => {
  assert.deepEqual(cacheLookups("k", ["b", "a"]), [
    { kind: "exact", text: "k" },
    { kind: "prefix", text: "b" },
    { kind: "prefix", text: "a" },
  ]);
  assert.deepEqual(
    [restoreOutcome("k", "k"), restoreOutcome("b1", "k"), restoreOutcome(null, "k")],
    ["hit", "partial", "miss"],
  );
});

test("a prefix's range has the keys that begin with it, and no others", () => {
  fc.assert(
    fc.property(literal, literal, (prefix, key) => {
      for (const text of [key, prefix + key, prefix]) {
        const inRange = text >= prefix && text < endOfPrefix(prefix);
        assert.equal(inRange, text.startsWith(prefix));
      }
    }),
  );
});

const someEntries = fc
  .array(
    fc.record({
      repository: fc.constantFrom("a", "b", "c"),
      size: fc.integer({ min: 0, max: 50 }),
      lastUsedAt: fc.integer({ min: 0, max: 20 }),
      isRead: fc.boolean(),
    }),
    { maxLength: 30 },
  )
  .map((entries) => entries.map((entry, at): EvictableEntry => ({ ...entry, id: `e${at}` })));

const someLimits = fc.record({
  entryBytes: fc.constantFrom(0, 20, 60),
  repositoryBytes: fc.constantFrom(0, 40, 100),
  totalBytes: fc.constantFrom(0, 60, 200),
});

test("the least recently used entries are evicted, never those being read, and the limits hold", () => {
  fc.assert(
    fc.property(someEntries, fc.integer({ min: 0, max: 70 }), someLimits, (entries, size, limits) => {
      const requested = { repository: "a", size };
      const plan = planSpace(entries, requested, limits);
      if ("refusal" in plan) return;
      const gone = entries.filter((entry) => plan.evict.includes(entry.id));
      assert.equal(gone.length, plan.evict.length);
      assert.ok(gone.every((entry) => !entry.isRead));
      const rest = entries.filter((entry) => !plan.evict.includes(entry.id));
      const sum = (of: readonly { size: number }[]) => of.reduce((total, entry) => total + entry.size, 0);
      const own = rest.filter((entry) => entry.repository === "a");
      if (limits.repositoryBytes > 0) assert.ok(sum(own) + size <= limits.repositoryBytes);
      if (limits.totalBytes > 0) assert.ok(sum(rest) + size <= limits.totalBytes);
      if (limits.entryBytes > 0) assert.ok(size <= limits.entryBytes);
      // Within a repository, no kept entry that could have been evicted was used before an evicted one.
      for (const one of gone) {
        const olderKept = rest.filter(
          (kept) => !kept.isRead && kept.repository === one.repository && kept.lastUsedAt < one.lastUsedAt,
        );
        assert.deepEqual(olderKept, []);
      }
    }),
  );
});

test("no entry is evicted while there is room, and a refusal names the limit", () => {
  const entry = (id: string, size: number, isRead = false): EvictableEntry => ({
    id,
    repository: "a",
    size,
    lastUsedAt: 1,
    isRead,
  });
  const limits = { entryBytes: 50, repositoryBytes: 100, totalBytes: 120 };
  assert.deepEqual(planEviction([entry("x", 60), entry("y", 40)], limits), []);
  assert.deepEqual(planSpace([entry("x", 60), entry("y", 40)], { repository: "a", size: 1 }, limits), {
    evict: ["x"],
  });
  assert.deepEqual(planSpace([], { repository: "a", size: 51 }, limits), { refusal: "entry" });
  assert.deepEqual(planSpace([entry("x", 60, true)], { repository: "a", size: 41 }, limits), {
    refusal: "repository",
  });
  assert.deepEqual(planSpace([entry("x", 90, true)], { repository: "b", size: 41 }, limits), {
    refusal: "total",
  });
});

test("the number of tiny entries has a limit too", () => {
  const many = Array.from(
    { length: 1005 },
    (_, at): EvictableEntry => ({
      id: `e${String(at).padStart(4, "0")}`,
      repository: "a",
      size: 0,
      lastUsedAt: at,
      isRead: false,
    }),
  );
  const none = { entryBytes: 0, repositoryBytes: 0, totalBytes: 0 };
  assert.equal(planEviction(many, none).length, 5);
  assert.deepEqual(planSpace(many.slice(0, 1000), { repository: "a", size: 0 }, none), { evict: ["e0000"] });
});
