import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type GitServer, startGitServer } from "../../demo/git-server.ts";
import { commitFiles } from "../../demo/repository.ts";
import { runCommand } from "../../host/command.ts";
import { guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
let directory: string;
let server: GitServer;
let first: string;
let second: string;

before(async () => {
  harness = await RunnerHarness.create();
  directory = await harness.directory();
  const repository = join(directory, "project.git");
  first = await commitFiles(repository, { "hello.txt": "first\n" });
  second = await commitFiles(repository, { "hello.txt": "second\n" });
  server = await startGitServer(directory);
});
after(async () => {
  await server.close();
  await harness.close();
});

const job = (url: string, commitSha: string, ref: string | null = "refs/heads/main") => ({
  repoUrl: url,
  commitSha,
  ref,
  env: { GIT_HTTP_LOW_SPEED_TIME: "1" },
  steps: stepsOf("cat hello.txt; echo $SOLSTICE_COMMIT $SOLSTICE_REF", "git status --porcelain"),
});

/** Runs a job whose checkout must fail, and returns the last line of its log. */
async function lastLineOf(plan: ReturnType<typeof job>): Promise<string> {
  const { endpoint, exit } = await harness.start({ plan });
  assert.equal(await exit, 0);
  assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:128"]);
  assert.equal(endpoint.finish?.failure, "checkout");
  assert.equal(endpoint.finish?.exitCode, 128);
  assertProven(endpoint);
  return endpoint.text().trim().split("\n").at(-1) ?? "";
}

describe("the checkout", { concurrency: 6 }, () => {
  for (const kind of guestsFor("a checkout")) {
    test(`the commit is checked out, not the newest: ${kind.name}`, { skip: missingFor(kind) }, async () => {
      const { endpoint, exit } = await harness.start({ kind, plan: job(`${server.url}/project.git`, first) });
      assert.equal(await exit, 0);
      assert.ok(endpoint.text().endsWith(`first\n${first} refs/heads/main\n`), endpoint.text());
      assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:0", "2:1:0", "2:2:0"]);
      assert.equal(endpoint.finish?.failure, "");
      assertProven(endpoint);
    });
  }

  test("a commit that does not exist is named", async () => {
    const missing = "0123456789abcdef0123456789abcdef01234567";
    const line = await lastLineOf(job(`${server.url}/project.git`, missing));
    assert.equal(line, `solstice: commit ${missing} does not exist in ${server.url}/project.git`);
  });

  test("a repository that does not exist is named, without its password", async () => {
    const url = `${server.url.replace("//", "//user:secret@")}/nothing.git`;
    assert.equal(
      await lastLineOf(job(url, second)),
      `solstice: there is no repository at ${server.url}/nothing.git`,
    );
  });

  test("a server that is down is tried three times", { timeout: 60_000 }, async () => {
    const gone = await startGitServer(directory);
    await gone.close();
    assert.equal(
      await lastLineOf(job(`${gone.url}/project.git`, second)),
      `solstice: fetching from ${gone.url}/project.git failed after 3 attempts`,
    );
  });

  test("the checkout fails when a server accepts and never answers", { timeout: 60_000 }, async () => {
    const sockets = new Set<{ destroy(): void }>();
    const silent: Server = createServer((socket) => void sockets.add(socket.on("error", () => {})));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    try {
      assert.match(
        await lastLineOf(job(`http://127.0.0.1:${port}/x.git`, second)),
        /fetching from \S+ failed/,
      );
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });

  test("a commit that no ref names is found by its hash", async () => {
    const repository = join(directory, "rewritten.git");
    const old = await commitFiles(repository, { "hello.txt": "old\n" });
    await runCommand("git", ["--git-dir", repository, "update-ref", "-d", "refs/heads/main"]);
    await commitFiles(repository, { "hello.txt": "new\n" });
    const { endpoint, exit } = await harness.start({ plan: job(`${server.url}/rewritten.git`, old) });
    await exit;
    assert.match(endpoint.text(), /^old$/m);
  });
});
