import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { addJob, type FakeApi, startFakeApi } from "../../testing/fake-api.ts";
import { runCli, startCli } from "../../testing/run-cli.ts";

let api: FakeApi;
before(async () => {
  api = await startFakeApi();
});
afterEach(() => api.jobs.clear());
after(() => api.stop());

const retry = (...args: string[]) => ["retry", "--api-url", api.url, ...args];

test("retry creates a new job, which refers to the job that has ended", async () => {
  addJob(api, "7k3m9x", { state: "failed" });
  const { code, stdout, stderr } = await runCli(retry("7k"));
  assert.equal(code, 0, stderr);
  const reported =
    "Job again7k3m9x, which repeats 7k3m9x, is queued. See its log with: solstice logs -f again7k3m9x\n";
  assert.equal(stdout, reported);
});

test("the same request id is the same new job", async () => {
  addJob(api, "7k3m9x", { state: "failed" });
  const id = ["--request-id", "11111111-2222-4333-8444-555555555555", "--json"];
  const first = JSON.parse((await runCli(retry("7k3m9x", ...id))).stdout);
  const second = JSON.parse((await runCli(retry("7k3m9x", ...id))).stdout);
  assert.deepEqual([first.id, first.retry_of, first.existed], ["again7k3m9x", "7k3m9x", false]);
  assert.deepEqual([second.id, second.existed], ["again7k3m9x", true]);
});

test("--wait follows the new job and exits with its exit code", async () => {
  addJob(api, "7k3m9x", { state: "failed" });
  const cli = startCli(retry("7k3m9x", "--wait"));
  await cli.sawError("queued");
  const verdict = { state: "failed", reason: "step_failed", message: "Again.", exitCode: 5 };
  api.update("again7k3m9x", { state: "failed", verdict });
  assert.equal(await cli.ended, 5, cli.stderr());
  assert.match(cli.stdout().toString(), /Job again7k3m9x failed: Again\./);
});

test("--wait reports that the job of the request id exists already", async () => {
  addJob(api, "7k3m9x", { state: "failed" });
  const id = ["--request-id", "11111111-2222-4333-8444-555555555555"];
  await runCli(retry("7k3m9x", ...id));
  api.update("again7k3m9x", { state: "failed" });
  const { stdout, stderr, code } = await runCli(retry("7k3m9x", "--wait", ...id));
  assert.deepEqual([code, stderr], [1, "Job again7k3m9x exists already; this is its log.\n"]);
  assert.match(stdout, /^Job again7k3m9x failed/);
});

test("a job that has not ended is refused", async () => {
  addJob(api, "7k3m9x", { state: "running" });
  const { code, stderr } = await runCli(retry("7k3m9x"));
  assert.equal(code, 1);
  assert.match(stderr, /has not ended: it is running/);
});

test("a job shows the job that it repeats and the jobs that repeat it", async () => {
  addJob(api, "7k3m9x", { state: "failed", retryOf: "0ld", retries: ["n3w", "n3wer"] });
  const { stdout } = await runCli(["jobs", "7k3m9x", "--api-url", api.url]);
  assert.match(stdout, /^Repeats +0ld$/m);
  assert.match(stdout, /^Repeated by n3w, n3wer$/m);
});

test("cancel --now sends the flag to the API", async () => {
  addJob(api, "7k3m9x", { state: "running" });
  await runCli(["cancel", "7k3m9x", "--api-url", api.url]);
  await runCli(["cancel", "--now", "7k3m9x", "--api-url", api.url]);
  assert.deepEqual(api.cancelled, [
    { jobId: "7k3m9x", now: false },
    { jobId: "7k3m9x", now: true },
  ]);
});
