import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { JobStepSchema } from "../../../gen/solstice/v1/jobs_pb.ts";
import { addJob, type FakeApi, labelIsFull, startFakeApi } from "../../testing/fake-api.ts";
import { runCli, startCli } from "../../testing/run-cli.ts";

let api: FakeApi;
before(async () => {
  api = await startFakeApi();
});
afterEach(() => {
  api.jobs.clear();
  api.submitted.length = 0;
  api.explanation = null;
});
after(() => api.stop());

const enqueue = (...args: string[]) => ["enqueue", "--no-repo", "--api-url", api.url, ...args];

test("sends a request from the flags, and prints the job's id", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const args = [
    "--step",
    "build=make A=1",
    "--step",
    "test=make test",
    "--env",
    "A=b=c",
    "--env",
    "EMPTY=",
    "--size",
    "big",
  ];
  const more = ["--runs-on", "debian-12", "--timeout", "1h30m", "--priority", "-5"];
  const { code, stdout, stderr } = await runCli(enqueue(...args, ...more));
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "Job 7k3m9x is queued. See its log with: solstice logs -f 7k3m9x\n");
  const { request_id, submitted_at, ...request } = api.submitted[0] ?? {};
  assert.match(String(request_id), /^[0-9a-f-]{36}$/);
  assert.ok(Date.parse(String(submitted_at)) > 0);
  assert.deepEqual(request, {
    schema_version: "jobrequest.v1",
    source: "cli",
    steps: [
      { name: "build", run: "make A=1" },
      { name: "test", run: "make test" },
    ],
    env: { A: "b=c", EMPTY: "" },
    secrets: [],
    artifacts: [],
    from_fork: false,
    runs_on: "debian-12",
    size: "big",
    timeout_seconds: 5400,
    priority: -5,
  });
});

test("warnings of the API go to stderr, and into the document of --json", async (t) => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  t.after(() => api.warnings.splice(0));
  api.warnings.push("Guests cannot reach\u001b[2J git.lan.");
  const text = await runCli(enqueue("--script", "x"));
  assert.match(text.stdout, /^Job 7k3m9x is queued\./);
  assert.equal(text.stderr, "Warning: Guests cannot reach\ufffd[2J git.lan.\n");
  assert.deepEqual(
    JSON.parse((await runCli(enqueue("--script", "x", "--json"))).stdout).warnings,
    api.warnings,
  );
  api.update("7k3m9x", { state: "failed" });
  const retried = await runCli(["retry", "7k3m9x", "--api-url", api.url, "--json"]);
  assert.deepEqual([JSON.parse(retried.stdout).warnings, retried.stderr], [api.warnings, text.stderr]);
});

test("a script is read from standard input, and a given request id is sent", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const requestId = "11111111-2222-4333-8444-555555555555";
  const args = enqueue("--script-file", "-", "--request-id", requestId, "--json");
  const { code, stdout } = await runCli(args, { input: "echo hello\n" });
  assert.equal(code, 0);
  assert.equal(JSON.parse(stdout).id, "7k3m9x");
  assert.equal(JSON.parse(stdout).existed, false);
  assert.equal(api.submitted[0]?.script, "echo hello\n");
  assert.equal(api.submitted[0]?.request_id, requestId);
});

test("wrong flags are refused before any request is sent, with exit code 2", async () => {
  const wrong: [string[], RegExp][] = [
    [[], /Give exactly one of --script, --script-file, and one or more --step/],
    [
      ["--script", "a", "--step", "b=c"],
      /Give exactly one of --script, --script-file, and one or more --step/,
    ],
    [["--step", "no separator"], /--step: got "no separator"; needs NAME=COMMAND/],
    [["--script", "a", "--env", "novalue"], /--env: got "novalue"; needs NAME=VALUE/],
    [["--script", "a", "--env", "1A=x"], /: --env: env\.1A: /],
    [["--step", "a="], /: --step: steps\.0\.run: is empty/],
    [["--step", "b=c", "--always-step", "a="], /: --always-step: steps\.1\.run: is empty/],
    [["--script-file", "-"], /: --script-file: is empty/],
    [["--script", "a", "--size", "x".repeat(101)], /: --size: must have at most 100 characters/],
    [["--script", "a", "--repo", "."], /--no-repo.*do not give --repo,/],
    [["--script", "a", "--step-timeout", "5s"], /--step-timeout limits each --step/],
    [["--script", "a", "--ref", "main"], /--no-repo.*do not give/],
    [["--script", "a", "--commit", "0".repeat(40)], /--no-repo.*do not give/],
    [["--script", "a", "--repo-url", "https://example.org/a.git"], /--no-repo.*do not give/],
    [
      ["--script", "a", "--repo", "https://a.example/a", "--repo-url", "https://b.example/b"],
      /--no-repo.*do not give --repo,/,
    ],
    [["--script", "a", "--timeout", "soon"], /--timeout.*needs a time span/s],
    [["--script", "a", "--request-id", "x"], /--request-id: must be a UUID/],
    [["--script-file", "/nonexistent"], /cannot read \/nonexistent/],
  ];
  const results = await Promise.all(wrong.map(([args]) => runCli(enqueue(...args))));
  for (const [index, [, message]] of wrong.entries()) {
    assert.match(results[index]?.stderr ?? "", message);
    assert.equal(results[index]?.code, 2);
  }
  const urls = ["--repo", "https://a.example/a", "--repo-url", "https://b.example/b"];
  const both = await runCli(["enqueue", "--api-url", api.url, "--script", "a", ...urls]);
  assert.match(both.stderr, /are both URLs/);
  assert.equal(both.code, 2);
  assert.equal(api.submitted.length, 0);
});

/** Plays a job with two steps, the second of which exits with `exitCode`. Pieces of the log contain parts of both steps. */
async function play(exitCode: number, saw: (text: string) => Promise<void>): Promise<void> {
  const step = (index: number, name: string, change: object) =>
    create(JobStepSchema, { index, name, ...change });
  const first = { logStart: 0n, startedMs: 1n };
  api.update("7k3m9x", {
    state: "running",
    attempt: 1,
    hostId: "host-a",
    steps: [step(0, "build", { state: "running", ...first })],
  });
  api.append("7k3m9x", "compiling");
  await saw("compiling");
  const ended = { state: "succeeded", logEnd: 15n, exitCode: 0, finishedMs: 2n };
  const second = { logStart: 15n, startedMs: 2n };
  api.update("7k3m9x", {
    steps: [
      step(0, "build", { ...first, ...ended }),
      step(1, "test\u001b[2J", { state: "running", ...second }),
    ],
  });
  api.append("7k3m9x", " done\nno newline at the end");
  await saw("at the end");
  const state = exitCode === 0 ? "succeeded" : "failed";
  api.update("7k3m9x", {
    state,
    finishedMs: 1_700_000_060_000n,
    steps: [
      step(0, "build", { ...first, ...ended }),
      step(1, "test\u001b[2J", { state, ...second, exitCode, finishedMs: 9n }),
    ],
    verdict: { state, reason: "step_failed", message: "Step test failed.", exitCode },
  });
}

test("--wait shows the log with a heading for each step, then the verdict, and exits with the job's exit code", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const cli = startCli(enqueue("--script", "x", "--wait"));
  await cli.sawError("queued");
  await play(7, cli.sawOutput);
  assert.equal(await cli.ended, 7, cli.stderr());
  assert.equal(
    cli.stdout().toString(),
    [
      "==> build",
      "compiling done",
      "==> test�[2J",
      "no newline at the end",
      "Job 7k3m9x failed: Step test failed.",
      "Failing step: test�[2J (exit code 7)",
      "",
    ].join("\n"),
  );
  assert.match(cli.stderr(), /^Job 7k3m9x: queued\nJob 7k3m9x: running\n$/);
});

test("--wait --json keeps stdout for one document; the log goes to stderr", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const cli = startCli(enqueue("--script", "x", "--wait", "--json"));
  await cli.sawError("queued");
  await play(0, cli.sawError);
  assert.equal(await cli.ended, 0);
  const document = JSON.parse(cli.stdout().toString());
  assert.equal(document.state, "succeeded");
  assert.equal(document.finished_ms, 1_700_000_060_000);
  assert.deepEqual(document.steps[1].exit_code, 0);
});

/** Plays a job that fails and whose guest is put on hold. */
async function failOnHold(saw: (text: string) => Promise<void>): Promise<void> {
  api.update("7k3m9x", { state: "running", attempt: 1 });
  api.append("7k3m9x", "the end\n");
  await saw("the end");
  api.update("7k3m9x", {
    state: "finalizing",
    verdict: { state: "failed", reason: "step_failed", message: "It failed.", exitCode: 7 },
    hold: { state: "on_hold", untilMs: BigInt(Date.parse("2100-01-02T13:04:05Z")) },
  });
}

const enter =
  /kept until 2100-01-02 13:04:05 UTC .*\n.* solstice shell 7k3m9x\n.* solstice release 7k3m9x\n$/;

test("--wait --hold-on-failure prints how to enter the guest, and exits with the job's exit code", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const cli = startCli(enqueue("--script", "x", "--hold-on-failure", "30m", "--wait"));
  await cli.sawError("queued");
  await failOnHold(cli.sawOutput);
  assert.equal(await cli.ended, 7, cli.stderr());
  assert.equal(api.submitted[0]?.hold_on_failure_seconds, 1800);
  assert.match(cli.stdout().toString(), /^the end\nJob 7k3m9x failed: It failed\.\n/);
  assert.match(cli.stdout().toString(), enter);
});

test("--wait --hold-on-failure --json prints the job with its hold, and how to enter on stderr", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const cli = startCli(enqueue("--script", "x", "--hold-on-failure", "30m", "--wait", "--json"));
  await cli.sawError("queued");
  await failOnHold(cli.sawError);
  assert.equal(await cli.ended, 7, cli.stderr());
  const { state, verdict, hold } = JSON.parse(cli.stdout().toString());
  assert.deepEqual([state, verdict.exit_code, hold.state], ["finalizing", 7, "on_hold"]);
  assert.match(cli.stderr(), enter);
});

test("--wait shows the reason while the job waits", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  api.explanation = labelIsFull;
  const cli = startCli(enqueue("--script", "x", "--wait", "--json"));
  await cli.sawError(`Job 7k3m9x waits: ${labelIsFull.message}\n`);
  api.update("7k3m9x", { state: "succeeded" });
  assert.equal(await cli.ended, 0, cli.stderr());
  assert.equal(JSON.parse(cli.stdout().toString()).state, "succeeded");
});

test("--wait survives a restart of the orchestrator, without losing or repeating a byte", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const cli = startCli(enqueue("--script", "x", "--wait"));
  await cli.sawError("queued");
  api.update("7k3m9x", { state: "running", attempt: 1 });
  api.append("7k3m9x", "before\n");
  await cli.sawOutput("before");
  await api.stop();
  await cli.sawError("Retrying");
  api.append("7k3m9x", "meanwhile\n");
  await api.restart();
  await cli.sawOutput("meanwhile");
  api.append("7k3m9x", "after\n");
  api.update("7k3m9x", { state: "succeeded" });
  assert.equal(await cli.ended, 0, cli.stderr());
  assert.equal(cli.stdout().toString(), "before\nmeanwhile\nafter\nJob 7k3m9x succeeded\n");
});

test("--wait continues with the next attempt when an attempt is repeated", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const cli = startCli(enqueue("--script", "x", "--wait"));
  await cli.sawError("queued");
  api.append("7k3m9x", "first try\n");
  api.update("7k3m9x", { state: "running", attempt: 1 });
  await cli.sawOutput("first try");
  api.update("7k3m9x", { state: "queued" });
  await cli.sawError("queued\nJob 7k3m9x: running\nJob 7k3m9x: queued");
  api.update("7k3m9x", { state: "running", attempt: 2 });
  api.append("7k3m9x", "second try\n");
  await cli.sawOutput("second try");
  api.update("7k3m9x", { state: "succeeded" });
  assert.equal(await cli.ended, 0, cli.stderr());
  assert.equal(cli.stdout().toString(), "first try\n==> attempt 2\nsecond try\nJob 7k3m9x succeeded\n");
});

test("states without an exit code of a step have their own exit codes", async () => {
  const expected = { infra_error: 70, cancelled: 71, timed_out: 124, failed: 1 };
  for (const [state, exitCode] of Object.entries(expected)) {
    api.onSubmit = () =>
      addJob(api, "7k3m9x", { state, verdict: { state, reason: "x", message: `It was ${state}.` } });
    const { code, stdout } = await runCli(enqueue("--script", "x", "--wait"));
    assert.equal(code, exitCode);
    assert.equal(stdout, `Job 7k3m9x ${state}: It was ${state}.\n`);
  }
});

test("an API that cannot be reached is an error at once, with exit code 69 and a request id for a safe repeat", async () => {
  const args = ["enqueue", "--no-repo", "--script", "x", "--api-url", "http://127.0.0.1:9", "--json"];
  const { code, stdout, stderr } = await runCli(args);
  assert.equal(code, 69);
  assert.equal(stdout, "");
  const { error } = JSON.parse(stderr);
  assert.equal(error.code, "unavailable");
  assert.match(error.message, /The API at http:\/\/127\.0\.0\.1:9 cannot be reached \(ECONNREFUSED\)/);
  assert.match(error.remedy, /add --request-id [0-9a-f-]{36}/);
});
