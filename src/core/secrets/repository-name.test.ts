import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { matchesPath } from "./path-pattern.ts";
import { repositoryName, repositoryPatternProblem } from "./repository-name.ts";

test("a repository has one name for all spellings of its URL", () => {
  const spellings = [
    "https://example.org/acme/app",
    "https://example.org/acme/app.git",
    "https://example.org/acme/app/",
    "https://EXAMPLE.org:443/acme/app.git/",
    "https://user:password@example.org/acme/app.git",
    "ssh://git@example.org/acme/app.git",
    "ssh://git@example.org:22/acme/app",
    "git@example.org:acme/app.git",
    "[git@example.org:22]:acme/app.git",
  ];
  for (const url of spellings) assert.equal(repositoryName(url), "example.org/acme/app", url);
});

test("possibly different repositories have different names", () => {
  assert.equal(repositoryName("https://example.org/Acme/app"), "example.org/Acme/app");
  assert.equal(repositoryName("https://example.org:8443/acme/app"), "example.org:8443/acme/app");
  assert.equal(repositoryName("ssh://git@example.org:443/acme/app"), "example.org:443/acme/app");
  assert.equal(repositoryName("http://example.org/acme/app"), "http://example.org/acme/app");
  assert.equal(repositoryName("http://127.0.0.1:3000/app.git"), "http://127.0.0.1:3000/app");
  assert.equal(repositoryName("git://example.org/acme/app"), "git://example.org/acme/app");
  assert.equal(repositoryName("https://[::1]:8443/acme/app"), "[::1]:8443/acme/app");
});

test("a URL that two programs may read differently has no name", () => {
  const doubtful = [
    "https://example.org\\@evil.org/acme/app",
    "https://evil.org\\.example.org/acme/app",
    "https://a@b@example.org/acme/app",
    "https://example.org#@evil.org/acme/app",
    "https://example.org?x/acme/app",
    "https://example.org/acme/app?x",
    "https://example.org/acme/app#x",
    "https://example.org/acme/../evil/app",
    "https://example.org/./acme/app",
    "https://example.org/acme//app",
    "https://example.org/acme%2fapp/x",
    "https://example.org/",
    "https://example.org/.git",
    "https://example.org./acme/app",
    "https://example.org:/acme/app",
    "https://exämple.org/acme/app",
    "ftp://example.org/acme/app",
    "file:///acme/app",
    "git@example.org:../acme/app",
    "git@example.org:/",
  ];
  for (const url of doubtful) assert.equal(repositoryName(url), null, url);
});

test("a pattern matches only what it spells out", () => {
  const matches = (pattern: string, url: string) => {
    assert.equal(repositoryPatternProblem(pattern), null, pattern);
    return matchesPath(pattern, repositoryName(url) ?? "");
  };
  assert.ok(matches("example.org/acme/*", "https://example.org/acme/x.git"));
  assert.ok(matches("example.org/acme/lib-*", "https://example.org/acme/lib-one"));
  assert.ok(matches("example.org/acme/**", "https://example.org/acme/group/x"));
  for (const [pattern, url] of [
    ["example.org/acme/*", "https://example.org.evil/acme/x"],
    ["example.org/acme/*", "https://evil.example.org/acme/x"],
    ["example.org/acme/*", "https://example.org/acme/group/x"],
    ["example.org/acme/*", "https://example.org/acme-evil/x"],
    ["example.org/acme/*", "https://evil.org/example.org/acme/x"],
    ["example.org/acme/*", "https://example.org:8443/acme/x"],
    ["example.org/acme/*", "http://example.org/acme/x"],
    ["example.org/acme/**", "https://example.org/acme"],
    ["example.org/acme/app", "https://example.org/acme/app2"],
    ["example.org/acme/app", "https://example.org/acme/APP"],
  ] as const) {
    assert.ok(!matches(pattern, url), `${pattern} ${url}`);
  }
});

test("misleading patterns are refused with an example of a valid one", () => {
  const problem = (pattern: string) => repositoryPatternProblem(pattern) ?? "";
  assert.match(problem("https://github.com/acme/app.git"), /such as github\.com\/acme\/app$/);
  assert.match(problem("git@github.com:acme/app.git"), /such as github\.com\/acme\/app$/);
  assert.match(problem("GitHub.com/acme/app"), /lower case/);
  for (const wrong of [
    "*",
    "**",
    "*.org/a/b",
    "github.com",
    "acme/a*p*",
    "github.com/**/x",
    "github.com/../x",
    "",
  ]) {
    assert.notEqual(problem(wrong), "", wrong);
  }
});

test("property: a pattern without stars matches exactly the repository it names", () => {
  const segment = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);
  const host = fc.stringMatching(/^[a-z0-9]{1,5}(\.[a-z0-9]{1,5}){0,2}$/);
  const repository = fc.record({ host, owner: segment, name: segment });
  fc.assert(
    fc.property(repository, repository, (one, other) => {
      const pattern = `${one.host}/${one.owner}/${one.name}`;
      assert.equal(repositoryPatternProblem(pattern), null);
      const name = repositoryName(`https://${other.host}/${other.owner}/${other.name}.git`);
      assert.equal(matchesPath(pattern, name ?? ""), pattern === name);
    }),
  );
});
