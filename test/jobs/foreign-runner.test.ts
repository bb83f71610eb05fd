/**
 * Tests that foreign runners run whole jobs on a real orchestrator: the contract is sufficient to write another
 * runner.
 */
import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runCommand } from "../../src/host/command.ts";
import { readLog, submit, untilEnd, untilLogged } from "../support/jobs.ts";
import { makeSetup, type OrchestratorProcess, startOrchestrator } from "../support/orchestrator.ts";

const root = new URL("../..", import.meta.url).pathname;
const python = "/usr/bin/python3";

const imageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

/** An orchestrator from a copy of this tree in which a command replaces `runner.sh`. */
async function startWith(context: TestContext, command: readonly string[]): Promise<OrchestratorProcess> {
  const flags = ["--hypervisor", "noop", "--noop-runner", "process", "--runner-listen", "127.0.0.1:0"];
  const setup = makeSetup(context, imageMap, flags);
  const copy = join(setup.dataDir, "installation");
  mkdirSync(copy);
  for (const part of ["bin", "src", "proto", "package.json"]) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const script = join(copy, "src/guest/runner/runner.sh");
  writeFileSync(script, `#!/bin/sh\n[ "$1" = run ] || exit 0\nexec ${command.join(" ")}\n`);
  chmodSync(script, 0o755);
  return startOrchestrator({ ...setup, program: join(copy, "bin/solstice") });
}

async function runJobs(orchestrator: OrchestratorProcess): Promise<void> {
  const steps = [
    { name: "one", run: `echo "it's $GREETING"; echo second >&2` },
    { name: "two", run: "printf 'no newline'; exit 7" },
    { name: "three", run: "echo never" },
  ];
  const env = { GREETING: "a 'quoted' héllo\nof two lines" };
  const job = await untilEnd(orchestrator, await submit(orchestrator, { steps, env }));
  assert.deepEqual([job.state, job.verdict?.reason, job.verdict?.exitCode], ["failed", "step_failed", 7]);
  assert.deepEqual(
    job.steps.map((step) => [step.name, step.state]),
    [
      ["one", "succeeded"],
      ["two", "failed"],
      ["three", "skipped"],
    ],
  );
  assert.equal((await readLog(orchestrator, job.id)).toString(), `it's ${env.GREETING}\nsecond\nno newline`);
  assert.equal(job.log?.completeness, "complete");

  const script = "trap 'echo going; exit 1' TERM; echo started; while :; do sleep 0.1; done";
  const running = await submit(orchestrator, { script });
  await untilLogged(orchestrator, running, "started");
  await orchestrator.api.cancel({ jobId: running });
  assert.equal((await untilEnd(orchestrator, running)).state, "cancelled");
  assert.match((await readLog(orchestrator, running)).toString(), /^started\n(Terminated\n)?going\n$/);
}

test("a runner written with grpc-js", async (context) => {
  const node = process.execPath;
  const runner = join(root, "test/support/grpc-runner.ts");
  await runJobs(await startWith(context, [node, "--disable-warning=ExperimentalWarning", runner]));
});

test("a runner written in Python", {
  skip: !existsSync(python) && `${python} is not installed`,
}, async (context) => {
  const descriptors = join(makeSetup(context, imageMap, []).dataDir, "contract.binpb");
  await runCommand(join(root, "node_modules/.bin/buf"), [
    "build",
    join(root, "proto"),
    "--output",
    descriptors,
  ]);
  const runner = join(root, "examples/runner.py");
  await runJobs(await startWith(context, [python, runner, descriptors, '"$SOLSTICE_CONF"']));
});
