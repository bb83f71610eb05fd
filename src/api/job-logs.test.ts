import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { verdict } from "../core/job/verdict.ts";
import { applyEvent, getJob } from "../store/jobs/jobs.ts";
import { recordFinish } from "../store/jobs/machines.ts";
import { finishStep, startStep } from "../store/jobs/steps.ts";
import { appendLog } from "../store/logs/logs.ts";
import type { Store } from "../store/store.ts";
import { type JobLogOptions, type LogPiece, readJobLog } from "./job-logs.ts";
import { type BootedJob, bootJob, endAttempt, insertTestJob, openTestStore } from "./testing/fixture.ts";

async function setUp(t: TestContext, stepNames?: readonly string[], request: object = {}) {
  const store = await openTestStore(t);
  const booted = await bootJob(store, (await insertTestJob(store, { request })).id, stepNames);
  let offset = 0;
  const write = async (text: string, limitBytes = 1e9) => {
    const log = { jobId: booted.jobId, attempt: booted.attempt, stream: "output" } as const;
    await appendLog(store, { ...log, offset, data: Buffer.from(text), limitBytes });
    offset += text.length;
  };
  const step = async (index: number, phase: "started" | "finished") => {
    const change = { ...booted, index, at: 5, logOffset: offset };
    await (phase === "started" ? startStep(store, change) : finishStep(store, { ...change, exitCode: 0 }));
  };
  return { store, booted, write, step };
}

async function read(store: Store, { jobId }: BootedJob, options: Partial<JobLogOptions>) {
  const job = await getJob(store, jobId);
  assert.ok(job);
  return readJobLog(store, {
    job,
    ...{ stream: "output", attempt: 0, offset: 0, follow: false, step: null, pollMs: 60_000 },
    signal: AbortSignal.timeout(30_000),
    ...options,
  });
}

async function textOf(pieces: AsyncIterable<LogPiece>): Promise<string> {
  let text = "";
  for await (const { data } of pieces) text += Buffer.from(data).toString();
  return text;
}

test("a step's output is addressed by the step and the offset in it", async (t) => {
  const { store, booted, write, step } = await setUp(t);
  const of = async (name: string, options: Partial<JobLogOptions> = {}) =>
    textOf(await read(store, booted, { step: name, ...options }));
  assert.equal(await of("test"), "");
  await write("before ");
  await step(0, "started");
  await write("cloned");
  await step(0, "finished");
  await step(1, "started");
  await write("tested");
  assert.deepEqual([await of("checkout"), await of("test"), await of("1")], ["cloned", "tested", "tested"]);
  assert.equal(await of("checkout", { offset: 2 }), "oned");
  assert.equal(await of("checkout", { offset: 99 }), "");
  for await (const { offset, data } of await read(store, booted, { step: "test", offset: 3 })) {
    assert.equal(offset, 3);
    assert.ok(data.length === 0 || Buffer.from(data).equals(Buffer.from("ted")));
  }
  await step(1, "finished");
  await write(" after");
  assert.equal(await of("test"), "tested");
  await assert.rejects(of("tset"), { code: "not_found", remedy: 'Its steps are "checkout", "test".' });
});

test("two steps of one name are read by index, and the error for the name lists the indexes", async (t) => {
  const { store, booted, write, step } = await setUp(t, ["checkout", "test", "test"]);
  for (const [index, text] of ["cloned", "one", "two"].entries()) {
    await step(index, "started");
    await write(text);
    await step(index, "finished");
  }
  await assert.rejects(async () => textOf(await read(store, booted, { step: "test" })), {
    code: "conflict",
    message: '2 steps are named "test".',
    remedy: "Use the index of a step, from 0: 1, 2",
  });
  assert.equal(await textOf(await read(store, booted, { step: "1" })), "one");
  assert.equal(await textOf(await read(store, booted, { step: "2" })), "two");
});

test("following a step waits for its start, and ends with the step", async (t) => {
  const { store, booted, write, step } = await setUp(t);
  const followed = textOf(await read(store, booted, { step: "test", follow: true }));
  await write("cloned");
  await step(1, "started");
  await write("tes");
  await write("ted");
  await step(1, "finished");
  await write("later");
  assert.equal(await followed, "tested");
  const never = textOf(await read(store, booted, { step: "checkout", follow: true }));
  await endAttempt(store, booted, "requeue");
  assert.equal(await never, "");
});

test("an attempt that will never exist is refused, also when the log is followed", async (t) => {
  const { store, booted } = await setUp(t);
  const second = () => read(store, booted, { attempt: 2, follow: true });
  const waiting = await second();
  await waiting.next();
  await endAttempt(store, booted, "settle_succeeded");
  assert.equal(await textOf(waiting), "");
  await assert.rejects(async () => textOf(await second()), { code: "not_found" });
});

test("followed output ends when only a guest on hold remains; its console continues", async (t) => {
  const { store, booted, write } = await setUp(t, ["test"], { hold_on_failure_seconds: 600 });
  const { jobId, attempt } = booted;
  const output = textOf(await read(store, booted, { follow: true }));
  const console = await read(store, booted, { follow: true, stream: "console" });
  await console.next();
  await write("everything");
  await recordFinish(store, {
    ...{ jobId, attempt, at: 3001, exitCode: 3, failure: null, logLength: 9, logSha256: "0".repeat(64) },
    hold: { hostId: "host-1", decide: () => ({ kind: "granted", seconds: 600 }) },
  });
  const failed = verdict("step_failed", "It failed.", 3);
  await applyEvent(store, { jobId, attempt, event: "conclude", at: 3002, verdict: failed });
  assert.equal(await output, "everything");
  const log = { jobId, attempt, stream: "console" } as const;
  await appendLog(store, { ...log, offset: 0, data: Buffer.from("later"), limitBytes: 1e9 });
  const { value } = await console.next();
  assert.equal(Buffer.from(value?.data ?? "").toString(), "later");
  await console.return?.(undefined);
});

test("dropped bytes are skipped, and the number of skipped bytes is reported", async (t) => {
  const { store, booted, write } = await setUp(t);
  const lines = Array.from({ length: 40 }, (_, index) => `line ${String(index).padStart(3, "0")}\n`);
  for (const line of lines) await write(line, 180);
  const pieces: LogPiece[] = [];
  for await (const piece of await read(store, booted, {})) pieces.push(piece);
  const [, head, tail] = pieces;
  assert.ok(head && tail && pieces.length === 3);
  assert.equal(Buffer.from(head.data).toString(), lines.slice(0, 10).join(""));
  assert.equal(tail.skipped, tail.offset - 90);
  assert.ok(lines.join("").endsWith(Buffer.from(tail.data).toString()) && tail.data.length > 60);
});

test("a follower receives every byte of a log, even when retention drops bytes that were already sent", async (t) => {
  const { store, booted, write } = await setUp(t);
  const pieces = (await read(store, booted, { follow: true }))[Symbol.asyncIterator]();
  await pieces.next();
  for (let index = 0; index < 40; index += 1) {
    const line = `line ${String(index).padStart(3, "0")}\n`;
    await write(line, 90);
    const { value } = await pieces.next();
    assert.deepEqual([Buffer.from(value?.data ?? "").toString(), value?.skipped], [line, 0]);
  }
  await pieces.return?.(undefined);
});
