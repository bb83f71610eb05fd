/**
 * Runs the commands of README.md and of first-job.md unchanged. Other tests, and this run, cover `npm run demo` and
 * `npm test`.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { shippedImageMapPath } from "../../src/config/load-orchestrator-config.ts";
import { cleanEnvironment, makeSetup, solstice, startOrchestrator } from "../support/orchestrator.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/** The command lines of a page's code blocks, without their comments. */
function commands(page = "README.md"): string[] {
  const text = readFileSync(join(root, page), "utf8");
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  return blocks.flatMap((block) => block.trimEnd().split("\n")).map((line) => line.replace(/\s+#.*$/, ""));
}

test("the README contains the commands that are tested here and elsewhere, and no others", () => {
  assert.deepEqual(
    commands().filter((command) => !command.startsWith("solstice ")),
    [
      "npm run demo",
      "npm test",
      // package.test.ts runs them unchanged, apart from `npm ci`.
      "npm ci && npm pack",
      "npm install --global ./solstice-ci-*.tgz",
      "scripts/setup-host.sh",
    ],
  );
});

test("the solstice commands of README.md and first-job.md work unchanged, from any checkout", async (context) => {
  const map = readFileSync(shippedImageMapPath, "utf8");
  const setup = makeSetup(context, map, ["--hypervisor", "noop", "--runner-listen", "127.0.0.1:0"]);
  await startOrchestrator(setup);
  const bin = join(setup.dataDir, "bin");
  mkdirSync(bin);
  symlinkSync(solstice, join(bin, "solstice"));

  const checkout = join(setup.dataDir, "checkout");
  const git = (...args: string[]) =>
    run("git", ["-c", "user.name=t", "-c", "user.email=t@example.invalid", ...args]);
  await git("init", "--quiet", checkout);
  await git("-C", checkout, "remote", "add", "origin", "https://git.example.invalid/owner/project.git");
  await git("-C", checkout, "commit", "--quiet", "--allow-empty", "--message", "first");

  const environment = cleanEnvironment();
  const env = { ...environment, PATH: `${bin}:${environment.PATH}`, SOLSTICE_DATA_DIR: setup.dataDir };
  let jobId = "JOB";
  const all = [...commands(), ...commands("docs/tasks/first-job.md")];
  for (const command of all.filter((line) => line.startsWith("solstice "))) {
    // The orchestrator is already running; doctor reports on this host, and may find problems.
    const ending = command.startsWith("solstice doctor") ? " || [ $? = 1 ]" : "";
    const text = command === "solstice orchestrator" ? `${command} --help` : command.replace("JOB", jobId);
    const { stdout } = await run("sh", ["-c", text + ending], { cwd: checkout, env });
    assert.notEqual(stdout, "", command);
    jobId = /Job (\w+) succeeded/.exec(stdout)?.[1] ?? jobId;
  }
  assert.notEqual(jobId, "JOB", "enqueue --wait named a job");
});
