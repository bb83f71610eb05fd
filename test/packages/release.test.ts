/** Tests `npm version` in a small repository, with this project's own scripts: its effect on the changelog. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};

/** A repository with one commit, and the programs that run in it. */
async function makeRepository(context: TestContext, changelog: string) {
  const directory = mkdtempSync(join(tmpdir(), "solstice-release-"));
  context.after(() => rmSync(directory, { recursive: true }));
  for (const folder of ["scripts", "proto"]) mkdirSync(join(directory, folder));
  cpSync(join(root, "scripts/release-changelog.sh"), join(directory, "scripts/release-changelog.sh"));
  const manifest = {
    name: "small",
    version: "0.1.0",
    // Other tests cover the checks and the contract.
    scripts: { ...scripts, check: "echo checked >&2", "accept-contract": "echo kept >proto/released.txtpb" },
  };
  writeFileSync(join(directory, "package.json"), JSON.stringify(manifest, null, 2));
  writeFileSync(join(directory, "CHANGELOG.md"), changelog);
  const inside = (program: string, ...args: string[]) => run(program, args, { cwd: directory });
  const git = (...args: string[]) =>
    inside("git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", ...args);
  await git("init", "--quiet");
  await git("config", "user.name", "t");
  await git("config", "user.email", "t@example.invalid");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "first");
  return { inside, git, changelog: () => readFileSync(join(directory, "CHANGELOG.md"), "utf8") };
}

test("npm version checks, dates the changelog's section, and commits and tags all of it", async (context) => {
  const before = "# Changes\n\n## Unreleased\n\n- New & shiny: a/b \\1.\n\n## 0.1.0 (2026-01-02)\n\n- Old.\n";
  const { inside, git, changelog } = await makeRepository(context, before);
  const { stderr } = await inside("npm", "version", "minor");
  assert.match(stderr, /^checked$/m);
  const today = new Date().toISOString().slice(0, 10);
  const after = before.replace("## Unreleased\n", `## Unreleased\n\n## 0.2.0 (${today})\n`);
  assert.equal(changelog(), after);
  assert.equal((await git("show", "v0.2.0:CHANGELOG.md")).stdout, after);
  assert.equal((await git("show", "v0.2.0:proto/released.txtpb")).stdout, "kept\n");
  assert.match((await git("show", "v0.2.0:package.json")).stdout, /"version": "0\.2\.0"/);
  assert.equal((await git("status", "--porcelain")).stdout, "");
});

for (const [fault, changelog] of [
  ["nothing is unreleased", "# Changes\n\n## Unreleased\n\n## 0.1.0 (2026-01-02)\n\n- Old.\n"],
  ["the heading is missing", "# Changes\n\n- New.\n"],
  ["the version exists already", "# Changes\n\n## Unreleased\n\n- New.\n\n## 0.2.0 (2026-01-02)\n\n- Old.\n"],
] as const) {
  test(`nothing is released when ${fault}`, async (context) => {
    const repository = await makeRepository(context, changelog);
    await assert.rejects(repository.inside("npm", "version", "minor"), /release-changelog: /);
    assert.equal(repository.changelog(), changelog);
    assert.equal((await repository.git("tag")).stdout, "");
  });
}
