import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { execa } from "execa";
import { isSolsticeError } from "../core/errors.ts";
import { chooseRepository } from "./repository.ts";

let directory = "";
let checkout = "";
let head = "";

async function git(...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"];
  return (await execa("git", [...identity, "-C", checkout, ...args])).stdout.trim();
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "solstice-git-"));
  checkout = join(directory, "checkout");
  await execa("git", ["init", "--quiet", "--bare", join(directory, "remote.git")]);
  await execa("git", ["-c", "init.defaultBranch=main", "init", "--quiet", checkout]);
  await writeFile(join(checkout, "file"), "one\n");
  await git("add", "file");
  await git("commit", "--quiet", "-m", "one");
  await git("remote", "add", "origin", join(directory, "remote.git"));
  await git("push", "--quiet", "-u", "origin", "HEAD:main");
  await git("remote", "set-url", "origin", "git@example.org:octo/cat.git");
  head = await git("rev-parse", "HEAD");
});
after(() => rm(directory, { recursive: true }));

test("a clean, pushed checkout: its remote as a URL, its commit and branch, no warning", async () => {
  assert.deepEqual(await chooseRepository({ repo: checkout }), {
    request: {
      repo_url: "ssh://git@example.org/octo/cat.git",
      commit_sha: head,
      ref: "refs/heads/main",
      repo_owner: "octo",
      repo_name: "cat",
    },
    warnings: [],
  });
});

test("changes and commits that the guest will not see are warned of", async () => {
  await writeFile(join(checkout, "file"), "two\n");
  assert.match(
    (await chooseRepository({ repo: checkout })).warnings.join(),
    /changes that are not committed/,
  );
  await git("commit", "--quiet", "-am", "two");
  const { request, warnings } = await chooseRepository({ repo: checkout });
  assert.match(warnings.join(), /is on no remote branch known here/);
  assert.notEqual(request.commit_sha, head);
  assert.deepEqual((await chooseRepository({ repo: checkout, commit: "HEAD~1" })).warnings, []);
  assert.equal((await chooseRepository({ repo: checkout, commit: "HEAD~1" })).request.commit_sha, head);
  const served = await chooseRepository({ repo: checkout, repoUrl: "http://192.168.122.1:8080/x.git" });
  assert.deepEqual(served.warnings, []);
  assert.equal(served.request.repo_url, "http://192.168.122.1:8080/x.git");
});

test("a URL's default branch and tags are looked up at the remote", async () => {
  const url = `file://${join(directory, "remote.git")}`;
  await assert.rejects(chooseRepository({ repo: url }), (error) => {
    return isSolsticeError(error, "usage") && error.message.startsWith("A guest cannot reach the repository");
  });
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const { request } = await chooseRepository({
    repo: "https://example.org/a/b.git",
    commit,
    ref: "refs/tags/v1",
  });
  assert.deepEqual(request, {
    repo_url: "https://example.org/a/b.git",
    commit_sha: commit,
    ref: "refs/tags/v1",
    repo_owner: "a",
    repo_name: "b",
  });
});

test("what cannot work is refused with a remedy", async () => {
  const refusals: [Parameters<typeof chooseRepository>[0], RegExp][] = [
    [{ repo: directory }, /is not a git checkout/],
    [{ repo: checkout, commit: "nosuch" }, /has no commit "nosuch"/],
    [{ repo: checkout, commit: "--help" }, /has no commit "--help"/],
    [{ repo: checkout, repoUrl: "/srv/git/x" }, /A guest cannot reach the repository "\/srv\/git\/x"/],
    [{ repo: "https://example.org/a/b", commit: "abc" }, /with a URL it needs the full commit hash/],
  ];
  for (const [flags, message] of refusals) {
    await assert.rejects(chooseRepository(flags), (error) => {
      return isSolsticeError(error, "usage") && message.test(error.message) && error.remedy !== undefined;
    });
  }
  assert.deepEqual((await chooseRepository({ repo: false })).request, {});
});
