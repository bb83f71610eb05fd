import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { addJob, type FakeApi, labelIsFull, startFakeApi } from "../../testing/fake-api.ts";
import { runCli, startCli } from "../../testing/run-cli.ts";

let api: FakeApi;
before(async () => {
  api = await startFakeApi();
});
afterEach(() => {
  api.jobs.clear();
  api.explanation = null;
});
after(() => api.stop());

test("prints the bytes unchanged: binary, escape sequences, no newline at the end", async () => {
  addJob(api, "7k3m9x", { state: "succeeded", attempt: 1 });
  const bytes = Buffer.concat([
    Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    Buffer.from("\u001b[31mred"),
  ]);
  api.append("7k3m9x", bytes);
  const cli = startCli(["logs", "7k", "--api-url", api.url]);
  assert.equal(await cli.ended, 0, cli.stderr());
  assert.deepEqual(cli.stdout(), bytes);
});

test("the console and earlier attempts can be read", async () => {
  const job = addJob(api, "7k3m9x", { state: "succeeded", attempt: 2 });
  job.console.set(1, Buffer.from("panic\n"));
  job.console.set(2, Buffer.from("booted\n"));
  const url = ["--api-url", api.url];
  assert.equal((await runCli(["logs", "--console", "7k3m9x", ...url])).stdout, "booted\n");
  assert.equal(
    (await runCli(["logs", "--console", "--attempt", "1", "-f", "7k3m9x", ...url])).stdout,
    "panic\n",
  );
});

test("follows the log over restarts and attempts, from the offset reached", async () => {
  addJob(api, "7k3m9x", { state: "running", attempt: 1 });
  api.append("7k3m9x", "one\n");
  const cli = startCli(["logs", "-f", "7k3m9x", "--api-url", api.url]);
  await cli.sawOutput("one");
  await api.stop();
  await cli.sawError("Retrying");
  api.append("7k3m9x", "two\n");
  await api.restart();
  await cli.sawOutput("two");
  assert.equal(api.logRequests.at(-1)?.offset, 4n);
  api.update("7k3m9x", { state: "running", attempt: 2 });
  api.append("7k3m9x", "again\n");
  await cli.sawOutput("again");
  api.update("7k3m9x", { state: "failed" });
  assert.equal(await cli.ended, 0, cli.stderr());
  assert.equal(cli.stdout().toString(), "one\ntwo\nagain\n");
  assert.match(cli.stderr(), /==> attempt 2\n$/);
});

test("-f before the job runs shows the reason to wait on stderr, and nothing on stdout", async () => {
  addJob(api, "7k3m9x");
  api.explanation = labelIsFull;
  const cli = startCli(["logs", "-f", "7k3", "--api-url", api.url]);
  await cli.sawError(`Job 7k3m9x waits: ${labelIsFull.message}\n`);
  api.update("7k3m9x", { state: "running", attempt: 1 });
  api.append("7k3m9x", "one\n");
  await cli.sawOutput("one");
  api.update("7k3m9x", { state: "succeeded" });
  assert.equal(await cli.ended, 0, cli.stderr());
  assert.equal(cli.stdout().toString(), "one\n");
});

test("one line marks bytes that were not kept, and stderr reports the completeness of the log", async () => {
  const job = addJob(api, "7k3m9x", {
    state: "succeeded",
    attempt: 1,
    log: { receivedBytes: 30n, completeness: "truncated", missingFrom: 10n, missingTo: 20n },
  });
  job.dropped = { from: 10, to: 20 };
  api.append("7k3m9x", "the begin.gone gone.the end");
  const { code, stdout, stderr } = await runCli(["logs", "7k3m9x", "--api-url", api.url]);
  assert.equal(code, 0);
  const note = "\nsolstice: bytes 10–20 (10 B) were not kept: the log exceeded LOG_LIMIT_MB\n";
  assert.equal(stdout, `the begin.${note}the end`);
  assert.equal(stderr, "The log is truncated: bytes 10–20 (10 B) were not kept.\n");
});

test("--json: a document for each line, with its offset, and with the bytes if they are not UTF-8", async () => {
  const job = addJob(api, "7k3m9x", { state: "succeeded", attempt: 1 });
  const long = "x".repeat(64 * 1024);
  api.append(
    "7k3m9x",
    Buffer.concat([Buffer.from("ünicode\n\n"), Buffer.of(0xff, 10), Buffer.from(`${long}y\nlost`)]),
  );
  const end = 12 + long.length + 2;
  job.dropped = { from: end, to: end + 4 };
  api.append("7k3m9x", "no newline");
  const { code, stdout, stderr } = await runCli(["logs", "--json", "7k3m9x", "--api-url", api.url]);
  assert.equal(code, 0, stderr);
  const documents = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const usual = { attempt: 1, base64: null, ends_line: true, skipped_bytes: 0 };
  assert.deepEqual(documents, [
    { ...usual, offset: 0, text: "ünicode" },
    { ...usual, offset: 9, text: "" },
    { ...usual, offset: 10, text: "\ufffd", base64: "/w==" },
    { ...usual, offset: 12, text: long, ends_line: false },
    { ...usual, offset: 12 + long.length, text: "y" },
    { ...usual, offset: end + 4, text: "no newline", ends_line: false, skipped_bytes: 4 },
  ]);
});

test("a job that does not exist: its error, the API's remedy, exit code 1", async () => {
  const { code, stderr } = await runCli(["logs", "-f", "zzz", "--api-url", api.url]);
  assert.equal(code, 1);
  assert.equal(stderr, "solstice: There is no job zzz.\nSee 'solstice jobs' — it lists them.\n");
});

test("an API that cannot be reached is an error at once, not after minutes", async () => {
  const { code } = await runCli(["logs", "-f", "zzz", "--api-url", "http://127.0.0.1:9"]);
  assert.equal(code, 69);
});
