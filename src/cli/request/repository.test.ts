import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { execa } from "execa";
import { isSolsticeError } from "../../core/errors.ts";
import { parseJobRequest } from "../../core/request/job-request.ts";
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
      repo_url: "git@example.org:octo/cat.git",
      commit_sha: head,
      ref: "refs/heads/main",
      repo_owner: "octo",
      repo_name: "cat",
    },
    warnings: [],
  });
});

test("changes and commits that are not pushed cause a warning", async () => {
  await writeFile(join(checkout, "file"), "two\n");
  assert.match(
    (await chooseRepository({ repo: checkout })).warnings.join(),
    /changes that are not committed/,
  );
  await git("commit", "--quiet", "-am", "two");
  const { request, warnings } = await chooseRepository({ repo: checkout });
  assert.match(warnings.join(), /is on no remote branch in this checkout/);
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

test("flags that cannot work are refused with a remedy", async () => {
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

/** Runs `chooseRepository` in a new process, with these environment variables. */
async function chosenWith(env: Record<string, string>, cwd: string, repo: string): Promise<unknown> {
  const module = new URL("./repository.ts", import.meta.url).href;
  const script = `import { chooseRepository } from ${JSON.stringify(module)};
    console.log(JSON.stringify((await chooseRepository({ repo: ${JSON.stringify(repo)} })).request));`;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script];
  return JSON.parse((await execa(process.execPath, args, { cwd, env })).stdout);
}

test("a named directory has priority over the repository in a hook's environment", async () => {
  const other = join(directory, "other");
  await execa("git", ["-c", "init.defaultBranch=wrong", "init", "--quiet", other]);
  const below = join(checkout, "below");
  await mkdir(below, { recursive: true });
  const { request } = await chooseRepository({ repo: checkout });
  const hook = { GIT_DIR: join(other, ".git"), GIT_WORK_TREE: other, GIT_INDEX_FILE: "nothing" };
  assert.deepEqual(await chosenWith(hook, other, checkout), request);
  assert.deepEqual(await chosenWith({ GIT_DIR: ".git", GIT_PREFIX: "below/" }, below, "."), request);
});

test("an error of git is shown, and not taken for a missing repository", async () => {
  const broken = join(directory, "broken");
  await execa("git", ["init", "--quiet", broken]);
  await writeFile(join(broken, ".git/config"), "[core]\n\trepositoryformatversion = 99\n");
  await assert.rejects(chooseRepository({ repo: broken }), (error) => {
    assert.ok(isSolsticeError(error, "usage"));
    assert.match(error.message, /Expected git repo version <= 1, found 99/);
    return true;
  });
  await assert.rejects(chooseRepository({ repo: join(directory, "nothing") }), /No such file or directory/);
});

/** The command that git sends to the server of a URL: the last argument of ssh. */
async function askedFor(url: string): Promise<string> {
  const ssh = 'f() { for last; do :; done; echo "asked: $last" >&2; }; f';
  const { stderr } = await execa("git", ["ls-remote", url], { env: { GIT_SSH_COMMAND: ssh }, reject: false });
  return /^asked: (.*)$/m.exec(stderr)?.[1] ?? stderr;
}

test("git in the guest requests the same path as git here, for every form of the remote's URL", async () => {
  for (const [remote, asked] of [
    ["git@srv.example.org:project.git", "git-upload-pack 'project.git'"],
    ["git@srv.example.org:/srv/project.git", "git-upload-pack '/srv/project.git'"],
    ["git@srv.example.org:~team/project.git", "git-upload-pack '~team/project.git'"],
    ["git@srv:100%25.git", "git-upload-pack '100%25.git'"],
    ["[git@srv.example.org:2222]:p.git", "git-upload-pack 'p.git'"],
    ["git@[2001:db8::1]:p.git", "git-upload-pack 'p.git'"],
    ["srv.example.org:p.git", "git-upload-pack 'p.git'"],
    ["ssh://git@srv:2222/p.git", "git-upload-pack '/p.git'"],
    ["git+ssh://git@srv/~/p.git", "git-upload-pack '~/p.git'"],
  ] as const) {
    await git("remote", "set-url", "origin", remote);
    const { request } = await chooseRepository({ repo: checkout });
    assert.equal(await askedFor(request.repo_url ?? ""), asked, remote);
    assert.equal(await askedFor(remote), asked, remote);
    assert.equal(
      parseJobRequest({ ...request, request_id: randomUUID(), script: "x" }).repo_url,
      request.repo_url,
    );
  }
});
