import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { execa } from "execa";
import { commitFiles } from "../../demo/repository.ts";
import { readGitCheckout } from "./git-checkout.ts";
import { resolveRemoteRef } from "./git-ref.ts";

let directory = "";
let checkout = "";
let url = "";
const commits: Record<string, string> = {};

async function git(...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
  return (await execa("git", [...identity, "-C", checkout, ...args])).stdout.trim();
}

/** Creates a commit that only the given refs of the remote contain. */
async function commitAs(name: string, ...refs: string[]): Promise<void> {
  await git("commit", "--quiet", "--allow-empty", "-m", name);
  commits[name] = await git("rev-parse", "HEAD");
  await git("push", "--quiet", "origin", ...refs.map((ref) => `HEAD:${ref}`));
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "solstice-refs-"));
  checkout = join(directory, "checkout");
  const remote = join(directory, "remote.git");
  url = `file://${remote}`;
  await execa("git", ["-c", "init.defaultBranch=main", "init", "--quiet", "--bare", remote]);
  await execa("git", ["-c", "init.defaultBranch=main", "init", "--quiet", checkout]);
  await git("remote", "add", "origin", remote);
  await commitAs("right", "refs/heads/main");
  await commitAs("wrong", "refs/heads/dev/main", "refs/remotes/origin/HEAD", "refs/x/refs/heads/main");
  await commitAs("release", "refs/heads/release");
  await git("tag", "-a", "-m", "one", "v1");
  await git("push", "--quiet", "origin", "v1");
  await commitAs("both", "refs/heads/both");
  await git("push", "--quiet", "origin", `${commits.right}:refs/tags/both`, "HEAD:refs/heads/same");
  await git("push", "--quiet", "origin", "HEAD:refs/tags/same", "HEAD:refs/heads/refs/heads/twice");
  await commitAs("change", "refs/pull/7/head");
});
after(() => rm(directory, { recursive: true }));

test("a name is the ref of exactly that name at the remote, never a longer name with that end", async () => {
  for (const [ref, name, commit] of [
    ["main", "refs/heads/main", "right"],
    ["refs/heads/main", "refs/heads/main", "right"],
    ["heads/main", "refs/heads/main", "right"],
    ["dev/main", "refs/heads/dev/main", "wrong"],
    ["same", "refs/heads/same", "both"],
    ["refs/tags/both", "refs/tags/both", "right"],
    ["refs/heads/both", "refs/heads/both", "both"],
    ["pull/7/head", "refs/pull/7/head", "change"],
    [null, null, "right"],
    ["HEAD", null, "right"],
  ] as const) {
    assert.deepEqual(await resolveRemoteRef(url, ref), { name, commit: commits[commit] }, String(ref));
  }
});

test("an annotated tag resolves to its commit, not to the tag object", async () => {
  assert.deepEqual(await resolveRemoteRef(url, "v1"), { name: "refs/tags/v1", commit: commits.release });
});

test("a name of a branch and a tag at different commits is refused, and so is a part of a name", async () => {
  await assert.rejects(resolveRemoteRef(url, "both"), /has refs\/heads\/both and refs\/tags\/both/);
  for (const ref of ["ma*", "ain", "m?in", "heads", "", "refs/heads/twice", "7/head", commits.right ?? ""]) {
    await assert.rejects(resolveRemoteRef(url, ref), /has no branch or tag/, ref);
  }
});

test("commits of a SHA-256 repository have 64 digits", async () => {
  const path = join(directory, "long.git");
  const commit = await commitFiles(path, { file: "x" }, "sha256");
  assert.equal(commit.length, 64);
  assert.deepEqual(await resolveRemoteRef(`file://${path}`, "main"), { name: "refs/heads/main", commit });
});

test("a ref in a checkout resolves to its own commit, not to HEAD", async () => {
  const choose = (ref: string) => readGitCheckout(checkout, { commitish: null, ref });
  const seen = async (ref: string) => {
    const { commit, ref: name } = await choose(ref);
    return [commit, name];
  };
  await git("branch", "topic", commits.right ?? "");
  await git("branch", "unclear", commits.right ?? "");
  await git("tag", "unclear", commits.wrong ?? "");
  assert.deepEqual(await seen("topic"), [commits.right, "refs/heads/topic"]);
  assert.deepEqual(await seen("v1"), [commits.release, "refs/tags/v1"]);
  assert.deepEqual(
    await seen("release"),
    [commits.release, "refs/heads/release"],
    "fetched, with no own branch",
  );
  await git("branch", "--quiet", "--set-upstream-to=origin/dev/main", "topic");
  assert.deepEqual(await seen("topic"), [commits.right, "refs/heads/dev/main"], "its name at the remote");
  await assert.rejects(
    choose("unclear"),
    /has refs\/heads\/unclear and refs\/tags\/unclear: "unclear" is ambiguous/,
  );
  await assert.rejects(choose("main2"), /has no branch or tag "main2"/);
});

test("an ambiguous notation of a commit is refused; full hashes and full names are exact", async () => {
  const commit = async (commitish: string) =>
    (await readGitCheckout(checkout, { commitish, ref: null })).commit;
  const { right = "", wrong = "", change = "" } = commits;
  await git("branch", right.slice(0, 7), wrong);
  await git("update-ref", `refs/heads/${right}`, wrong);
  await git("update-ref", "refs/heads/HEAD", wrong);
  assert.equal(await commit(right), right);
  assert.equal(await commit(change.slice(0, 10)), change);
  assert.equal(await commit("HEAD"), change);
  assert.equal(await commit("v1"), commits.release);
  assert.equal(await commit("refs/heads/unclear"), right);
  await assert.rejects(commit(right.slice(0, 7)), /names several things/);
  await assert.rejects(commit("unclear"), /names several things/);
  await assert.rejects(commit(`^${change}`), /has no commit/);
});
