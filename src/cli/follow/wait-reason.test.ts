import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, afterEach, before, type TestContext, test } from "node:test";
import { until } from "../../../test/support/until.ts";
import { openApiSession } from "../api/api-session.ts";
import type { CliContext } from "../context.ts";
import { addJob, type FakeApi, labelIsFull, startFakeApi } from "../testing/fake-api.ts";
import { createWaitReason } from "./wait-reason.ts";

let api: FakeApi;
before(async () => {
  api = await startFakeApi();
});
afterEach(() => {
  api.jobs.clear();
  api.explained.length = 0;
});
after(() => api.stop());

const pace = { silentMs: 1, tickMs: 2, firstAskMs: 3, longestAskMs: 3 };

async function show(t: TestContext, { isTTY, jobId = "7k3m9x" }: { isTTY: boolean; jobId?: string }) {
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 60 });
  let shown = "";
  stderr.on("data", (chunk) => {
    shown += chunk;
  });
  const context: CliContext = {
    stdout: new PassThrough(),
    stderr: stderr as unknown as CliContext["stderr"],
    stdin: new PassThrough(),
    env: {},
    now: Date.now,
    setExitCode: () => {},
  };
  const session = await openApiSession({ apiUrl: api.url }, {});
  const reason = createWaitReason(jobId, { context, session, pace });
  t.after(() => reason.end());
  return { reason, shown: () => shown, saw: (text: string) => until(text, () => shown.includes(text)) };
}

const timesAsked = (jobId = "7k3m9x") => api.explained.filter((id) => id === jobId).length;

/** Waits until a changed answer must have been seen. */
async function askedAgain(jobId?: string): Promise<void> {
  const before = timesAsked(jobId);
  await until("two more questions", () => timesAsked(jobId) > before + 1);
}

const full = (ahead: string) => ({
  constraint: "global_cap",
  message: `All slots are taken: 1 of 1 running; ${ahead}`,
});
const preparing = (done: string) => ({
  constraint: "image_not_ready",
  message: `Image a is not ready yet; the job starts after that. download: ${done} of 2.0 GiB`,
});

test("without a terminal a line is written when the reason changes, not when its numbers do", async (t) => {
  addJob(api, "7k3m9x");
  api.explanation = full("2 jobs are ahead");
  const { reason, shown, saw } = await show(t, { isTTY: false });
  reason.begin();
  reason.begin();
  await saw("2 jobs are ahead");
  for (const explanation of [full("1 job is ahead"), full("no jobs are ahead")]) {
    api.explanation = explanation;
    await askedAgain();
  }
  api.explanation = preparing("900.0 MiB");
  await saw("download");
  api.explanation = preparing("1.1 GiB");
  await askedAgain();
  reason.end();
  assert.equal(
    shown(),
    `Job 7k3m9x waits: ${full("2 jobs are ahead").message}\nJob 7k3m9x waits: ${preparing("900.0 MiB").message}\n`,
  );
});

test("on a terminal one line within its width is updated, and removed at the end", async (t) => {
  addJob(api, "7k3m9x");
  api.explanation = full("2 jobs are ahead");
  const { reason, shown, saw } = await show(t, { isTTY: true });
  reason.begin();
  await saw("All slots are taken");
  api.explanation = preparing("1.1 GiB");
  await saw("Image a");
  reason.end();
  assert.ok(!shown().includes("\n"));
  const lines = shown().split("\r\u001b[K");
  assert.equal(lines.at(-1), "");
  assert.match(lines[1] ?? "", /^Job 7k3m9x waits \(\d\.\ds\): All slots are taken: /);
  for (const line of lines) assert.ok(line.length < 60, line);
});

test("it ends by itself when the job runs, bears with an API that goes away, and begins again", async (t) => {
  addJob(api, "7k3m9x", { state: "booting" });
  addJob(api, "other");
  const { reason, shown, saw } = await show(t, { isTTY: false });
  reason.begin();
  await saw("Job 7k3m9x is booting.\n");
  await api.stop();
  await api.restart();
  await askedAgain();
  api.update("7k3m9x", { state: "running" });
  const asked = timesAsked();
  // Another one, at the same pace, is the clock.
  const clock = await show(t, { isTTY: false, jobId: "other" });
  clock.reason.begin();
  for (let questions = 0; questions < 5; questions += 1) await askedAgain("other");
  clock.reason.end();
  assert.ok(timesAsked() <= asked + 2, `${timesAsked() - asked} more questions`);
  api.update("7k3m9x", { state: "queued" });
  api.explanation = labelIsFull;
  reason.begin();
  await saw("waits");
  reason.end();
  assert.equal(shown(), `Job 7k3m9x is booting.\nJob 7k3m9x waits: ${labelIsFull.message}\n`);
});
