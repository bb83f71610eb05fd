/**
 * Tests guests of failed jobs that people enter: the real orchestrator, runner and command line, with processes as
 * guests.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { submit, untilEnd, untilJob, untilState } from "../support/jobs.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";

const imageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

function processSetup(context: TestContext, ...flags: string[]): OrchestratorSetup {
  return makeSetup(context, imageMap, [
    ...["--hypervisor", "noop", "--noop-runner", "process", "--runner-listen", "127.0.0.1:0"],
    ...["--max-concurrency", "1", "--stop-timeout", "1s", ...flags],
  ]);
}

const script = "echo left >file; exit 3";

const failing = { script, env: { GREETING: "hello" }, hold_on_failure_seconds: 600 };

const enqueueFailing = ["enqueue", "--no-repo", "--env", "GREETING=hello", "--script", script];

const isOnHold = (job: { hold?: { state: string }; verdict?: unknown }) =>
  job.hold?.state === "on_hold" && job.verdict !== undefined;

function guestsOf({ dataDir }: OrchestratorSetup): string[] {
  const guests = join(dataDir, "guests");
  return existsSync(guests) ? readdirSync(guests).filter((name) => name.startsWith("job-")) : [];
}

/** Runs the command line with some input; returns its output and exit code. */
async function run({ apiUrl }: OrchestratorProcess, args: readonly string[], input = "") {
  const child = spawn(solstice, args, { env: { ...cleanEnvironment(), SOLSTICE_API_URL: apiUrl } });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [stdout, stderr, code] = await Promise.all([
    readAll(child.stdout),
    readAll(child.stderr),
    new Promise<number | null>((resolve) => child.once("close", resolve)),
  ]);
  return { stdout, stderr, code };
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

test("a shell opens in a failed job's guest, other jobs run beside it, a killed orchestrator keeps it, release removes it", async (context) => {
  const setup = processSetup(context);
  const first = await startOrchestrator(setup);
  const reported = await run(first, [...enqueueFailing, "--hold-on-failure", "10m", "--wait"]);
  assert.equal(reported.code, 3, reported.stderr);
  const id = /solstice shell (\w+)/.exec(reported.stdout)?.[1] ?? "";
  const { job } = await first.api.get({ jobId: id });
  assert.ok(job && isOnHold(job), reported.stdout);
  assert.equal(job.state, "finalizing");
  assert.equal(job.verdict?.reason, "step_failed");

  const commands = 'cat file; printf "<%s>" "$GREETING" "$SOLSTICE_JOB_ID"; echo; exit 7\n';
  const entered = await run(first, ["shell", id.slice(0, 8)], commands);
  assert.deepEqual(entered, { stdout: `left\n<hello><${id}>\n`, stderr: "", code: 7 });

  // The held guest does not take the only slot.
  assert.equal((await untilEnd(first, await submit(first, { script: "true" }))).state, "succeeded");
  const capacity = await first.api.capacity({});
  assert.deepEqual([capacity.running, capacity.onHold, capacity.maxHolds], [0, 1, 1]);
  assert.match((await run(first, ["jobs"])).stdout, /finalizing \(on hold\)/);

  // The restarted orchestrator must have the same address, or the runner cannot reach it.
  await first.stop("SIGKILL");
  const second = await startOrchestrator(setup, ["--runner-listen", new URL(first.runnerUrl).host]);
  assert.equal((await run(second, ["shell", id], "cat file\n")).stdout, "left\n");
  assert.ok(isOnHold(await untilState(second, id, "finalizing")));

  const released = await run(second, ["release", id]);
  assert.equal(released.code, 0, released.stderr);
  const ended = await untilEnd(second, id);
  assert.equal(ended.state, "failed");
  assert.equal(ended.hold?.state, "ended");
  assert.deepEqual(guestsOf(setup), []);
  const late = await run(second, ["shell", id]);
  assert.equal(late.code, 1);
  assert.match(late.stderr, /is failed, and its guest is not on hold/);
  assert.match((await run(second, ["release", id])).stderr, /not on hold/);
});

test("a hold longer than the host's limit is shortened, and enqueue --wait reports it; the deadline removes the guest", async (context) => {
  const setup = processSetup(context, "--hold-limit", "5s");
  const orchestrator = await startOrchestrator(setup);
  const args = ["enqueue", "--no-repo", "--script", "echo out; exit 4", "--hold-on-failure", "30m", "--wait"];
  const { stdout, code } = await run(orchestrator, args);
  assert.equal(code, 4);
  assert.match(stdout, /^out$/m);
  assert.match(stdout, /exited with code 4\. The guest is kept for 5 s, the longest that this host allows/);
  const id = /solstice shell (\w+)/.exec(stdout)?.[1] ?? "";
  assert.match(stdout, new RegExp(`solstice release ${id}`));
  assert.equal((await untilEnd(orchestrator, id)).state, "failed");
  assert.deepEqual(guestsOf(setup), []);
});

test("guests on hold", async (context) => {
  const setup = processSetup(context);
  const orchestrator = await startOrchestrator(setup);

  await context.test(
    "beyond MAX_HOLDS no guest is kept, and the verdict says so; cancelling releases, the verdict stays",
    async () => {
      const kept = await submit(orchestrator, failing);
      await untilJob(orchestrator, kept, isOnHold);
      const refused = await untilEnd(orchestrator, await submit(orchestrator, failing));
      assert.match(refused.verdict?.message ?? "", /code 3\. The guest was not kept: .*MAX_HOLDS/);
      assert.equal(refused.hold?.state, "refused");
      await orchestrator.api.cancel({ jobId: kept });
      const ended = await untilEnd(orchestrator, kept);
      assert.equal(ended.state, "failed");
      assert.deepEqual(guestsOf(setup), []);
    },
  );

  await context.test("a second shell replaces the first, whose owner is notified", async () => {
    const id = await submit(orchestrator, failing);
    await untilJob(orchestrator, id, isOnHold);
    const child = spawn(solstice, ["shell", id], {
      env: { ...cleanEnvironment(), SOLSTICE_API_URL: orchestrator.apiUrl },
    });
    child.stdin.write("echo here\n");
    const reported = readAll(child.stderr);
    await new Promise<void>((resolve) => {
      child.stdout.on("data", (piece) => String(piece).includes("here") && resolve());
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    assert.equal((await run(orchestrator, ["shell", id], "cat file\n")).stdout, "left\n");
    assert.equal(await ended, 1);
    assert.match(await reported, /Another shell replaced this one/);
    await orchestrator.api.release({ jobId: id });
    await untilEnd(orchestrator, id);
  });

  await context.test(
    "a job that exceeded its time limit is kept too; a host that drains releases its guests",
    async () => {
      const request = {
        script: "echo left >file; sleep 1000",
        timeout_seconds: 2,
        hold_on_failure_seconds: 600,
      };
      const id = await submit(orchestrator, request);
      const job = await untilJob(orchestrator, id, isOnHold);
      assert.equal(job.verdict?.reason, "job_timeout");
      assert.equal((await run(orchestrator, ["shell", id], "cat file\n")).stdout, "left\n");
      assert.equal(await orchestrator.stop("SIGTERM"), 0);
      assert.deepEqual(guestsOf(setup), []);
    },
  );
});
