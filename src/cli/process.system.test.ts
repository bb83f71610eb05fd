/** Tests that need a real process: exit code, standard input, working directory, signals, pipes and memory. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { addJob, type FakeApi, startFakeApi } from "./testing/fake-api.ts";
import { keepArtifacts } from "./testing/kept-artifacts.ts";
import { resultOf, startCliProcess } from "./testing/run-cli.ts";

let api: FakeApi;
before(async () => {
  api = await startFakeApi();
});
afterEach(() => api.jobs.clear());
after(() => api.stop());

test("a script is read from a pipe, the answer goes to standard output, and the process exits with 0", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const args = ["enqueue", "--no-repo", "--api-url", api.url, "--script-file", "-", "--json"];
  const { code, stdout, stderr } = await resultOf(startCliProcess(args, { input: "echo hello\n" }));
  assert.deepEqual([code, stderr, JSON.parse(stdout).id], [0, "", "7k3m9x"]);
  assert.equal(api.submitted[0]?.script, "echo hello\n");
});

test("a wrong command line sets the exit code of the process, and its error goes to standard error", async () => {
  const { code, stdout, stderr } = await resultOf(startCliProcess(["jobs", "--frobnicate"]));
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /unknown option '--frobnicate'/);
});

test("files are fetched into a directory named after the job, below the working directory", async (t) => {
  const { jobId, env, directory } = await keepArtifacts(t, { "dist/note.txt": Buffer.from("hi") });
  const cli = startCliProcess(["artifacts", "get", jobId], { env, cwd: directory });
  assert.equal(await cli.ended, 0, cli.stderr());
  assert.equal(readFileSync(join(directory, jobId, "dist/note.txt"), "utf8"), "hi");
});

test("Ctrl-C reports that the job continues and how to cancel it, and exits 130", async () => {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const cli = startCliProcess(["enqueue", "--no-repo", "--api-url", api.url, "--script", "x", "--wait"]);
  await cli.sawError("queued");
  cli.child.kill("SIGINT");
  assert.equal(await cli.ended, 130);
  assert.match(cli.stderr(), /Job 7k3m9x continues\. Cancel it with: solstice cancel 7k3m9x/);
  assert.equal(api.jobs.get("7k3m9x")?.message.state, "queued");
});

test("a reader that closes the pipe ends the process without a message", async () => {
  addJob(api, "7k3m9x", { state: "running", attempt: 1 });
  api.append("7k3m9x", Buffer.alloc(4 * 1024 * 1024, "x"));
  const cli = startCliProcess(["logs", "-f", "7k3m9x", "--api-url", api.url]);
  await cli.sawOutput("x");
  cli.child.stdout?.destroy();
  assert.equal(await cli.ended, 141);
  assert.equal(cli.stderr(), "");
});

test("a slow reader receives a log of 100 MB completely, in little memory", {
  timeout: 120_000,
}, async () => {
  addJob(api, "7k3m9x", { state: "succeeded", attempt: 1 });
  const log = Buffer.alloc(100_000_000, "0123456789abcdef\n");
  api.jobs.get("7k3m9x")?.output.set(1, log);
  // The process reports the kernel's count of its peak memory on descriptor 3 when it ends.
  const program = `process.on("exit", () => require("fs").writeSync(3, String(process.resourceUsage().maxRSS)))`;
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const flags = [
    "--disable-warning=ExperimentalWarning",
    "--import",
    `data:text/javascript,import fs from "node:fs"; ${program.replace('require("fs")', "fs")}`,
  ];
  const child = spawn(process.execPath, [...flags, main, "logs", "7k3m9x", "--api-url", api.url], {
    stdio: ["ignore", "pipe", "inherit", "pipe"],
  });
  const peak: Buffer[] = [];
  child.stdio[3]?.on("data", (chunk: Buffer) => peak.push(chunk));
  const ended = once(child, "close");
  const hash = createHash("sha256");
  for await (const chunk of child.stdout ?? []) {
    hash.update(chunk);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await ended, [0, null]);
  assert.equal(hash.digest("hex"), createHash("sha256").update(log).digest("hex"));
  const peakMib = Number(Buffer.concat(peak).toString()) / 1024;
  assert.ok(peakMib > 20 && peakMib < 200, `peak ${peakMib} MiB`);
});
