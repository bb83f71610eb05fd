import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runCommand } from "../host/command.ts";
import { startGitServer } from "./git-server.ts";
import { commitFiles, readFiles } from "./repository.ts";

test("the demo's repository can be fetched by its commit; paths outside of the root are refused", async (context) => {
  const root = mkdtempSync(join(tmpdir(), "git-server-"));
  context.after(() => rmSync(root, { recursive: true }));
  const source = new URL("../../examples/demo-repository", import.meta.url).pathname;
  const commit = await commitFiles(join(root, "demo.git"), await readFiles(source));
  const server = await startGitServer(root);
  context.after(() => server.close());

  const checkout = join(root, "checkout");
  const git = (...args: string[]) => runCommand("git", ["-C", checkout, ...args]);
  await runCommand("git", ["init", "--quiet", checkout]);
  await git("fetch", "--quiet", "--depth", "1", `${server.url}/demo.git`, commit);
  await git("checkout", "--quiet", commit);
  assert.deepEqual(readdirSync(checkout).sort(), [".git", "test_words.py", "words.py"]);

  assert.equal((await fetch(`${server.url}/nothing.git/info/refs?service=git-upload-pack`)).status, 404);
  assert.equal((await fetch(`${server.url}/demo.git/info/refs?service=git-receive-pack`)).status, 403);
  const outside = await fetch(`${server.url}/%2e%2e%2f%2e%2e%2fetc/info/refs?service=git-upload-pack`);
  assert.notEqual(outside.status, 200);
});
