/**
 * Tests cancels, time limits and retries on a real orchestrator: which steps end, which output still arrives, and
 * which steps always run.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Job } from "../../src/gen/solstice/v1/jobs_pb.ts";
import { readLog, submit, untilEnd, untilJob, untilLogged, untilState } from "../support/jobs.ts";
import { type OrchestratorProcess, shareOrchestrator } from "../support/orchestrator.ts";

const imageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

const noop = ["--hypervisor", "noop", "--runner-listen", "127.0.0.1:0", "--noop-runner", "process"];

function stepsOf(job: Job): unknown[] {
  return job.steps.map(({ name, state, exitCode }) => [name, state, exitCode]);
}

async function textOf(orchestrator: OrchestratorProcess, jobId: string): Promise<string> {
  return (await readLog(orchestrator, jobId)).toString().replaceAll("Terminated\n", "");
}

const heeds = "trap 'echo going; exit 1' TERM; echo started; while :; do sleep 0.1; done";
const ignores = "trap 'echo no' TERM; echo started; while :; do sleep 0.1 || :; done";
const collect = { name: "collect", run: "echo collecting; exit 3", always: true };
const never = { name: "never", run: "echo never" };

describe("jobs that end early", () => {
  const shared = shareOrchestrator(imageMap, [...noop, "--max-concurrency", "1"]);

  for (const [how, run, code] of [
    ["heeds TERM", heeds, 1],
    ["ignores TERM", ignores, 137],
  ] as const) {
    test(`cancel while a step runs that ${how}: its last output arrives, and steps that always run do run`, async () => {
      const { orchestrator } = shared;
      const jobId = await submit(orchestrator, { steps: [{ name: "work", run }, never, collect] });
      await untilLogged(orchestrator, jobId, "started");
      await orchestrator.api.cancel({ jobId });
      await orchestrator.api.cancel({ jobId });
      const job = await untilEnd(orchestrator, jobId);
      assert.deepEqual([job.state, job.verdict?.reason], ["cancelled", "cancelled_by_user"]);
      assert.deepEqual(stepsOf(job), [
        ["work", "failed", code],
        ["never", "skipped", undefined],
        ["collect", "failed", 3],
      ]);
      assert.match(
        await textOf(orchestrator, jobId),
        how === "heeds TERM" ? /^started\ngoing\ncollecting\n$/ : /^started\n(no\n)+collecting\n$/,
      );
      assert.equal(job.log?.completeness, "complete");
    });
  }

  test("cancel --now also ends steps that always run", async () => {
    const { orchestrator } = shared;
    const cleaning = { name: "clean", run: "echo cleaning; sleep 1000", always: true };
    const jobId = await submit(orchestrator, { steps: [{ name: "work", run: heeds }, cleaning, collect] });
    await untilLogged(orchestrator, jobId, "started");
    await orchestrator.api.cancel({ jobId });
    await untilLogged(orchestrator, jobId, "cleaning");
    await orchestrator.api.cancel({ jobId, now: true });
    const job = await untilEnd(orchestrator, jobId);
    assert.equal(job.state, "cancelled");
    assert.deepEqual(stepsOf(job), [
      ["work", "failed", 1],
      ["clean", "failed", 143],
      ["collect", "skipped", undefined],
    ]);
  });

  test("a step that exceeds its time limit is named with it, and the first failure decides", async () => {
    const { orchestrator } = shared;
    const steps = [{ name: "slow", run: "echo begun; sleep 1000", timeout_seconds: 1 }, never, collect];
    const job = await untilEnd(orchestrator, await submit(orchestrator, { steps }));
    assert.deepEqual(
      [job.state, job.verdict?.reason, job.verdict?.exitCode],
      ["timed_out", "step_timeout", 124],
    );
    assert.equal(job.verdict?.message, 'Step "slow" ran longer than its limit of 1 s.');
    assert.deepEqual(stepsOf(job), [
      ["slow", "failed", 124],
      ["never", "skipped", undefined],
      ["collect", "failed", 3],
    ]);
    assert.equal(job.attempt, 1);
  });

  test("cancel of a waiting job, of one whose guest is being made, and of one that is finalizing", async () => {
    const { setup, orchestrator } = shared;
    const first = await submit(orchestrator, { steps: [{ name: "work", run: heeds }, collect] });
    await untilLogged(orchestrator, first, "started");
    const waiting = await submit(orchestrator, { steps: [never, collect] });
    await orchestrator.api.cancel({ jobId: waiting });
    const cancelled = await untilEnd(orchestrator, waiting);
    assert.deepEqual([cancelled.state, cancelled.attempt, cancelled.steps], ["cancelled", 0, []]);

    const second = await submit(orchestrator, { steps: [never, collect] });
    await orchestrator.api.cancel({ jobId: first });
    await untilJob(orchestrator, second, ({ state }) => state !== "queued");
    await orchestrator.api.cancel({ jobId: second });
    const early = await untilEnd(orchestrator, second);
    assert.equal(early.state, "cancelled");

    const third = await submit(orchestrator, { script: "true" });
    await untilState(orchestrator, third, "finalizing", "succeeded");
    await orchestrator.api.cancel({ jobId: third });
    assert.equal((await untilEnd(orchestrator, third)).state, "succeeded");
    const guests = join(setup.dataDir, "guests");
    assert.deepEqual(
      existsSync(guests) ? readdirSync(guests).filter((name) => name.startsWith("job-")) : [],
      [],
    );
  });

  test("retry: a new job of the same request, for jobs that have ended only, and once for each request id", async () => {
    const { setup, orchestrator } = shared;
    const { api } = orchestrator;
    const go = join(setup.dataDir, "go-on");
    const script = `echo "$WHO"; while [ ! -e ${go} ]; do sleep 0.1; done; exit 4`;
    const first = await submit(orchestrator, { script, env: { WHO: "me" }, priority: 3 });
    const requestId = randomUUID();
    await assert.rejects(api.retry({ jobId: first, requestId }), /has not ended/);
    writeFileSync(go, "");
    assert.equal((await untilEnd(orchestrator, first)).state, "failed");

    const made = await api.retry({ jobId: first, requestId });
    const again = await api.retry({ jobId: first.slice(0, 8), requestId });
    assert.deepEqual([made.existed, again.existed, again.job?.id], [false, true, made.job?.id]);
    const second = await untilEnd(orchestrator, made.job?.id ?? "");
    assert.deepEqual([second.retryOf, second.priority, second.verdict?.exitCode], [first, 3, 4]);
    assert.equal(await textOf(orchestrator, second.id), "me\n");
    const third = await untilEnd(
      orchestrator,
      (await api.retry({ jobId: second.id, requestId: randomUUID() })).job?.id ?? "",
    );
    assert.equal(third.retryOf, second.id);
    assert.deepEqual((await api.get({ jobId: first })).job?.retries, [second.id]);

    await assert.rejects(api.retry({ jobId: third.id, requestId }), /which is not a retry of/);
    await assert.rejects(api.retry({ jobId: third.id, requestId: "no uuid" }), /request_id/);
  });
});

describe("jobs whose clean-up does not end", () => {
  const shared = shareOrchestrator(imageMap, [...noop, "--cleanup-timeout", "3s", "--stop-timeout", "1s"]);

  test("a job that exceeded its time limit cleans up, within a limit", async () => {
    const { orchestrator } = shared;
    const hangs = { name: "hangs", run: "echo cleaning; sleep 1000", always: true };
    const jobId = await submit(orchestrator, {
      steps: [{ name: "work", run: heeds }, collect, hangs],
      timeout_seconds: 1,
    });
    const job = await untilEnd(orchestrator, jobId);
    assert.deepEqual([job.state, job.verdict?.reason], ["timed_out", "job_timeout"]);
    const text = await textOf(orchestrator, jobId);
    assert.match(
      text,
      /^started\ngoing\ncollecting\ncleaning\nsolstice: step 'hangs' was ended: the 3 s for cleaning up were over\n$/,
    );
    assert.equal(job.log?.completeness, "complete");
  });

  test("a failed job that never ends its clean-up is ended, and stays failed", async () => {
    const { orchestrator } = shared;
    const stuck = { name: "stuck", run: "trap '' TERM; while :; do sleep 0.1; done", always: true };
    const steps = [{ name: "fails", run: "exit 9" }, stuck];
    const job = await untilEnd(orchestrator, await submit(orchestrator, { steps }));
    assert.deepEqual([job.state, job.verdict?.exitCode], ["failed", 9]);
  });
});
