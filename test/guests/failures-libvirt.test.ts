/**
 * Tests jobs that fail, exceed their time limit or are cancelled in real guests, and the shell into a failed one: the
 * tiny image under software emulation, and the command line on a real terminal.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { type TestContext, test } from "node:test";
import { openPseudoTerminal } from "../../src/guest/testing/pseudo-terminal.ts";
import { noLibvirt } from "../support/guests/libvirt.ts";
import { assertGone, copyTinyImage, tinyDefaults, tinySetup } from "../support/guests/tiny-guests.ts";
import { readLog, submit, untilEnd, untilJob, untilLogged, untilState } from "../support/jobs.ts";
import {
  cleanEnvironment,
  type OrchestratorProcess,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { sample } from "../support/sampling.ts";

const collect = { name: "collect", run: "echo collecting", always: true };
const never = { name: "never", run: "echo never" };

/** Runs out of memory and keeps its guest. */
const hungry = {
  script: "echo left >file; echo eating; tail /dev/zero",
  env: { GREETING: "hello" },
  hold_on_failure_seconds: 1200,
};

/**
 * A separate step that prints the guest's name, a few bytes of its seed's disk, and the files that the seed's script
 * leaves.
 */
function showSeed(bytes: string) {
  const run = `cat /proc/sys/kernel/hostname; dd if=/dev/vdb bs=1 ${bytes} 2>/dev/null; echo; ls -d /run/solstice/started-*`;
  return { name: "seed", run };
}

/** Two labels whose guests get their seeds in other formats than ISO, so that these formats need no extra boots. */
async function otherSeeds(context: TestContext): Promise<string> {
  const [fat, archive] = await copyTinyImage(context, ["fat", "archive"]);
  const entry = (label: string, path: string | undefined, seed: string) =>
    `  ${label}: { local_path: ${path}, seed: ${seed}, ${tinyDefaults} }\n`;
  return entry("fat", fat, "vfat") + entry("archive", archive, "cpio");
}

/**
 * A second job beside the failed one: it runs when the orchestrator is killed, and its seed has another format than
 * ISO.
 */
interface OtherJob {
  readonly claim: string;
  submit(orchestrator: OrchestratorProcess): Promise<string>;
  /** Causes the end of the job and checks its outcome. `log` has ID in place of the job's id. */
  assertEnd(orchestrator: OrchestratorProcess, jobId: string, log: () => Promise<string>): Promise<void>;
}

/** One of them is tested: each needs a guest. */
const otherJobs: readonly OtherJob[] = [
  {
    claim:
      "a second job: a step that exceeds its time limit is ended, and steps that always run do run; the seed is on FAT",
    // The step ignores TERM; then the hold of its guest expires as well.
    submit(orchestrator) {
      const run = "trap '' TERM; echo begun; while :; do sleep 1; done";
      return submit(orchestrator, {
        runs_on: "fat",
        steps: [showSeed("skip=54 count=5"), { name: "slow", run, timeout_seconds: 2 }, never, collect],
        hold_on_failure_seconds: 5,
      });
    },
    async assertEnd(orchestrator, jobId, log) {
      const job = await untilEnd(orchestrator, jobId);
      assert.deepEqual([job.state, job.verdict?.reason, job.attempt], ["timed_out", "step_timeout", 1]);
      assert.match(
        await log(),
        /^job-ID\nFAT12\n\/run\/solstice\/started-ID-1\nbegun\n(Killed\n)?solstice: .*limit of 2 s\ncollecting\n$/,
      );
    },
  },
  {
    claim: "a job cancelled while it runs ends in its own way; its seed is an archive",
    submit(orchestrator) {
      const run = "trap 'echo going; exit 1' TERM; echo begun; while :; do sleep 1; done";
      return submit(orchestrator, {
        runs_on: "archive",
        steps: [showSeed("count=6"), { name: "work", run }, never, collect],
      });
    },
    async assertEnd(orchestrator, jobId, log) {
      await orchestrator.api.cancel({ jobId });
      const job = await untilEnd(orchestrator, jobId);
      assert.deepEqual([job.state, job.attempt], ["cancelled", 1]);
      assert.match(
        await log(),
        /^job-ID\n070707\n\/run\/solstice\/started-ID-1\nbegun\n(Terminated\n)?going\ncollecting\n$/,
      );
      assert.equal(job.log?.completeness, "complete");
    },
  },
];

test("real guests of failed jobs", { skip: noLibvirt }, async (context) => {
  // On a busy machine a guest takes seconds to shut down.
  const flags = ["--max-concurrency", "1", "--max-holds", "2", "--stop-timeout", "60s"];
  const setup = await tinySetup(context, flags, await otherSeeds(context));
  const first = await startOrchestrator(setup);
  const held = await submit(first, hungry);
  const heldJob = await untilJob(
    first,
    held,
    (job) => job.hold?.state === "on_hold" && job.verdict !== undefined,
  );

  await context.test("an out-of-memory kill is named in the verdict and in the log", async () => {
    assert.equal(heldJob.verdict?.reason, "step_failed", heldJob.verdict?.message);
    const message = heldJob.verdict?.message ?? "";
    assert.match(message, /ran out of memory: its kernel killed process \d+ \(tail\)/);
    const log = (await readLog(first, held)).toString();
    assert.match(log, /^eating\n(.*\n)*solstice: .*ran out of memory/);
  });
  await context.test("a shell opens in the guest of a failed job", async () => {
    const script =
      'cat file; printf "<%s>" "$GREETING" "$SOLSTICE_JOB_ID" "$SOLSTICE_ATTEMPT"; echo; uname -s; exit 7\n';
    const entered = await pipe(first, held, script);
    assert.deepEqual(entered, { stdout: `left\n<hello><${held}><1>\nLinux\n`, stderr: "", code: 7 });
    // More bytes than a serial line holds: the line waits for its reader.
    const many = await pipe(first, held, "seq 1 20000\necho kept >>file\n");
    assert.equal(many.stdout, Array.from({ length: 20_000 }, (_, at) => `${at + 1}\n`).join(""));
  });
  const [other = assert.fail()] = sample("a job beside a failed one", otherJobs, 1);
  const running = await other.submit(first);
  await untilLogged(first, running, "begun");

  await first.stop("SIGKILL");
  const second = await startOrchestrator(setup, ["--runner-listen", new URL(first.runnerUrl).host]);
  await context.test(
    "after kill -9 of the orchestrator the guest stays, and a person works in it",
    async () => {
      assert.equal((await pipe(second, held, "cat file\n")).stdout, "left\nkept\n");
      await onTerminal(context, second, held);
      assert.equal((await pipe(second, held, "cat file\n")).stdout, "left\nkept\ntyped\n");
    },
  );
  await context.test(other.claim, async () => {
    const log = async () => (await readLog(second, running)).toString().replaceAll(running, "ID");
    await other.assertEnd(second, running, log);
  });
  const booting = await submit(second, { steps: [never, collect] });
  await context.test("a job cancelled during its boot runs no step", async () => {
    await untilState(second, booting, "booting");
    await second.api.cancel({ jobId: booting });
    const job = await untilEnd(second, booting);
    assert.deepEqual([job.state, job.steps.map((step) => step.state)], ["cancelled", ["skipped", "skipped"]]);
  });
  await context.test("release removes all parts of the guest", async () => {
    await second.api.release({ jobId: held });
    const ended = await untilEnd(second, held);
    assert.equal(ended.state, "failed");
    // The guest shut down in order: its power was not cut at once.
    const console = (await readLog(second, held, { stream: "console" })).toString();
    assert.match(console, /reboot: Power down/);
    await assertGone(setup, held, running, booting);
  });
});

/** Sends input to a shell through a pipe, and returns its output. */
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

/** Works like a person: enters, types, interrupts, resizes the window, leaves with the escape. */
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
  // The guest receives the size with its runner's next poll; each check is a separate command.
  for (let count = 0; !/50 120\r\n/.test(line.shown().subarray(shown).toString()); count += 1) {
    assert.ok(count < 100, "the guest did not learn of the new size");
    line.type("stty size\r");
    // A shell that receives the new size draws its line a second time, in the middle of the typed text: only the
    // output is complete.
    from = await line.until("# ", await line.until(/\r\n\d+ \d+\r\n/, from));
  }
  line.type("\r~.");
  await line.until("  -\r\n", await line.until("code-0", from));
  await ended;
  const sums =
    line
      .shown()
      .toString()
      .match(/[0-9a-f]{32}/g) ?? [];
  // The terminal has its former settings again.
  assert.equal(sums.length, 2);
  assert.equal(sums[0], sums[1]);
  assert.match(line.shown().toString(), /The guest stays until its hold ends/);
}

/** Resizes like a window. */
async function resize(device: string): Promise<void> {
  const child = spawn("stty", ["-F", device, "rows", "50", "cols", "120"]);
  await new Promise((resolve) => child.once("exit", resolve));
}
