/** Entering a failed job in a real guest: the tiny image under software emulation, and the command line on a real terminal. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openPseudoTerminal } from "../src/guest/testing/pseudo-terminal.ts";
import { submit, untilEnd, untilJob } from "./support/jobs.ts";
import { domainNames, gatewayAddress, guestImage, noLibvirt } from "./support/libvirt.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  solstice,
  startOrchestrator,
} from "./support/orchestrator.ts";

const skip = noLibvirt;

async function tinySetup(context: TestContext, ...flags: string[]): Promise<OrchestratorSetup> {
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;
  return makeSetup(context, imageMap, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--max-concurrency", "1"],
    ...["--runner-listen", `${await gatewayAddress()}:0`, "--stop-timeout", "3s", ...flags],
  ]);
}

const failing = {
  script: "echo left >file; exit 3",
  env: { GREETING: "hello" },
  hold_on_failure_seconds: 1200,
};

/** What a shell is given through a pipe, and what it prints. */
async function pipe({ apiUrl }: OrchestratorProcess, jobId: string, input: string) {
  const child = spawn(solstice, ["shell", jobId], {
    env: { ...cleanEnvironment(), SOLSTICE_API_URL: apiUrl },
  });
  child.stdin.end(input);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (bytes) => (stdout += bytes));
  child.stderr.on("data", (bytes) => (stderr += bytes));
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { stdout, stderr, code };
}

async function assertGone({ dataDir }: OrchestratorSetup, jobId: string): Promise<void> {
  assert.ok(!(await domainNames()).includes(`job-${jobId}`));
  assert.deepEqual(readdirSync(join(dataDir, "guests")), []);
  assert.ok(!existsSync(`/var/log/libvirt/qemu/job-${jobId}.log`));
}

test("a real guest is kept and entered, beside another job and across kill -9; release removes all of it", {
  skip,
}, async (context) => {
  const setup = await tinySetup(context);
  const first = await startOrchestrator(setup);
  const id = await submit(first, failing);
  await untilJob(first, id, (job) => job.hold?.state === "on_hold" && job.verdict !== undefined);

  const script =
    'cat file; printf "<%s>" "$GREETING" "$SOLSTICE_JOB_ID" "$SOLSTICE_ATTEMPT"; echo; uname -s; exit 7\n';
  const entered = await pipe(first, id, script);
  assert.deepEqual(entered, { stdout: `left\n<hello><${id}><1>\nLinux\n`, stderr: "", code: 7 });
  // More than a serial line holds: it waits for its reader.
  const many = await pipe(first, id, "seq 1 20000\necho kept >>file\n");
  assert.equal(many.stdout, Array.from({ length: 20_000 }, (_, at) => `${at + 1}\n`).join(""));

  const other = await untilEnd(first, await submit(first, { script: "true" }));
  assert.equal(other.state, "succeeded", other.verdict?.message);

  await first.stop("SIGKILL");
  const second = await startOrchestrator(setup, ["--runner-listen", new URL(first.runnerUrl).host]);
  assert.equal((await pipe(second, id, "cat file\n")).stdout, "left\nkept\n");
  await onTerminal(context, second, id);
  assert.equal((await pipe(second, id, "cat file\n")).stdout, "left\nkept\ntyped\n");

  await second.api.release({ jobId: id });
  const ended = await untilEnd(second, id);
  assert.equal(ended.state, "failed");
  await assertGone(setup, id);
});

/** What a person does: enters, types, interrupts, resizes the window, leaves with the escape. */
async function onTerminal(
  context: TestContext,
  { apiUrl }: OrchestratorProcess,
  jobId: string,
): Promise<void> {
  const line = await openPseudoTerminal();
  context.after(() => line.close());
  const enter = `stty rows 40 cols 110; stty -g | md5sum; ${solstice} shell ${jobId}; echo code-$?; stty -g | md5sum`;
  const child = spawn(
    "/usr/bin/setsid",
    ["sh", "-c", `exec <${line.device} >${line.device} 2>&1; ${enter}`],
    {
      env: { ...cleanEnvironment(), SOLSTICE_API_URL: apiUrl, TERM: "vt220" },
    },
  );
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await line.until("Entered the guest");
  let from = await line.until("# ");
  line.type("echo $TERM; stty size; echo typed >>file\r");
  from = await line.until("vt220\r\n40 110", from);
  line.type("echo as''leep; sleep 1000\r");
  from = await line.until("asleep", from);
  line.type("\u0003");
  from = await line.until("# ", from);
  const shown = line.shown().length;
  await resize(line.device);
  // The guest learns it when its runner has asked; each look is a command of its own.
  for (let count = 0; !/50 120\r\n/.test(line.shown().subarray(shown).toString()); count += 1) {
    assert.ok(count < 100, "the guest did not learn of the new size");
    line.type("stty size\r");
    from = await line.until("# ", await line.until("stty size", from));
  }
  line.type("\r~.");
  await line.until("  -\r\n", await line.until("code-0", from));
  await ended;
  const sums =
    line
      .shown()
      .toString()
      .match(/[0-9a-f]{32}/g) ?? [];
  // The terminal is as it was before.
  assert.equal(sums.length, 2);
  assert.equal(sums[0], sums[1]);
  assert.match(line.shown().toString(), /The guest stays until its hold ends/);
}

/** As a window of another size does. */
async function resize(device: string): Promise<void> {
  const child = spawn("stty", ["-F", device, "rows", "50", "cols", "120"]);
  await new Promise((resolve) => child.once("exit", resolve));
}

test("the deadline of a hold removes a real guest", { skip }, async (context) => {
  const setup = await tinySetup(context, "--hold-limit", "8s");
  const orchestrator = await startOrchestrator(setup);
  const id = await submit(orchestrator, failing);
  const ended = await untilEnd(orchestrator, id);
  assert.equal(ended.state, "failed");
  assert.match(ended.verdict?.message ?? "", /kept for 8 s/);
  await assertGone(setup, id);
});
