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

const pace = { silentMs: 1, tickMs: 2, firstPollMs: 3, longestPollMs: 3 };

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

const pollCount = (jobId = "7k3m9x") => api.explained.filter((id) => id === jobId).length;

/** Waits until the API has answered a request that began after the change: two more requests have arrived. */
async function polledAgain(jobId?: string): Promise<void> {
  const before = pollCount(jobId);
  await until("two more requests", () => pollCount(jobId) > before + 1);
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
    await polledAgain();
  }
  api.explanation = preparing("900.0 MiB");
  await saw("download");
  api.explanation = preparing("1.1 GiB");
  await polledAgain();
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

test("the reason ends by itself when the job runs, survives an API outage, and begins again", async (t) => {
  addJob(api, "7k3m9x", { state: "booting" });
  addJob(api, "other");
  const { reason, shown, saw } = await show(t, { isTTY: false });
  reason.begin();
  await saw("Job 7k3m9x is booting.\n");
  await api.stop();
  await api.restart();
  await polledAgain();
  api.update("7k3m9x", { state: "running" });
  const polls = pollCount();
  // A second wait reason with the same intervals serves as the clock.
  const clock = await show(t, { isTTY: false, jobId: "other" });
  clock.reason.begin();
  for (let polls = 0; polls < 5; polls += 1) await polledAgain("other");
  clock.reason.end();
  assert.ok(pollCount() <= polls + 2, `${pollCount() - polls} more requests`);
  api.update("7k3m9x", { state: "queued" });
  api.explanation = labelIsFull;
  reason.begin();
  await saw("waits");
  reason.end();
  assert.equal(shown(), `Job 7k3m9x is booting.\nJob 7k3m9x waits: ${labelIsFull.message}\n`);
});
