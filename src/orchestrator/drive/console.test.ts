import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { bootJob, insertTestJob, openTestStore, readJob } from "../../api/testing/fixture.ts";
import { AttemptMasks } from "../../attempts/output/attempt-masks.ts";
import { verdict } from "../../core/job/verdict.ts";
import { logStatus, readLog } from "../../store/logs/logs.ts";
import {
  type ConsoleContext,
  describeConsole,
  explainVerdict,
  keepConsole,
  keepWholeConsole,
} from "./console.ts";

const numbered = (count: number) => Array.from({ length: count }, (_, at) => `line ${at}`);

test("an empty console is described as empty", () => {
  assert.equal(describeConsole(""), " Its console is empty.");
  assert.equal(describeConsole("\r\n \n"), " Its console is empty.");
});

test("the last lines are shown, without control characters, each cut at a limit", () => {
  const shown = describeConsole([...numbered(30), `\u001b[31m${"x".repeat(5000)}`].join("\r\n")).split("\n");
  assert.equal(shown.length, 14);
  assert.equal(shown[2], "  | line 19");
  assert.equal(shown.at(-1), `  | ${"x".repeat(200)}`);
});

test("the line with the panic is shown, however much output follows", () => {
  const panic = "[   12.69] Kernel panic - not syncing: sysrq triggered crash";
  const shown = describeConsole([panic, ...numbered(50)].join("\n")).split("\n");
  assert.equal(shown[2], `  | ${panic}`);
  assert.equal(shown.length, 15);
  const short = describeConsole([panic, "---"].join("\n"));
  assert.equal(short.match(/Kernel panic/g)?.length, 1);
});

test("a boot timeout without any kernel output points at the image", async (t) => {
  const store = await openTestStore(t);
  const { jobId } = await bootJob(store, (await insertTestJob(store)).id);
  const job = await readJob(store, jobId);
  const messageWith = async (text: string, reason: "boot_timeout" | "guest_lost") => {
    const readConsole = async (_id: string, offset: number) => Buffer.from(text).subarray(offset);
    const context = {
      store,
      hypervisor: { readConsole },
      masks: new AttemptMasks(() => []),
    } as unknown as ConsoleContext;
    const ended = verdict(reason, "The runner did not call.");
    return (await explainVerdict(context, job, { ended, withTail: true })).message;
  };
  const pointsAtImage = new RegExp(`Image ${job.image} did not boot`);
  assert.match(await messageWith("", "boot_timeout"), pointsAtImage);
  assert.match(
    await messageWith("BdsDxe: No bootable option or device was found.\r\n", "boot_timeout"),
    pointsAtImage,
  );
  assert.doesNotMatch(await messageWith("Linux version 6.1\r\n", "boot_timeout"), pointsAtImage);
  assert.doesNotMatch(await messageWith("", "guest_lost"), pointsAtImage);
});

test("a console longer than one read is masked completely, and its digest is that of the raw output", async (t) => {
  const store = await openTestStore(t);
  const { jobId } = await bootJob(store, (await insertTestJob(store)).id);
  const job = await readJob(store, jobId);
  const line = "token hunter2-and-more!\r\n";
  const whole = Buffer.from(line.repeat(30_000));
  const readConsole = async (_id: string, offset: number, maxBytes: number) =>
    whole.subarray(offset, offset + maxBytes);
  const masks = new AttemptMasks(() => ["hunter2-and-more"]);
  await keepWholeConsole({ store, hypervisor: { readConsole }, masks } as unknown as ConsoleContext, job);
  const log = { jobId, attempt: job.attempt, stream: "console" } as const;
  const { sha256, received } = await logStatus(store, log);
  assert.equal(received, whole.length);
  assert.equal(sha256, createHash("sha256").update(whole).digest("hex"));
  const stored = (await readLog(store, { ...log, offset: 0, maxBytes: whole.length })).toString();
  assert.equal(stored, line.replace("hunter2-and-more", "*".repeat(16)).repeat(30_000));
});

test("a secret on the console is masked in the store and in verdicts, in any pieces", async (t) => {
  const store = await openTestStore(t);
  const { jobId } = await bootJob(store, (await insertTestJob(store)).id);
  const job = await readJob(store, jobId);
  const whole = Buffer.from(`boot\r\ntoken hunter2-and-more!\r\n${"x".repeat(200)} cut off: hunter`);
  let written = 0;
  const readConsole = async (_id: string, offset: number, maxBytes: number) =>
    whole.subarray(offset, Math.min(written, offset + maxBytes));
  const context = {
    store,
    hypervisor: { readConsole },
    // Each read uses a new process state, without that of the read before.
    get masks() {
      return new AttemptMasks(() => ["hunter2-and-more"]);
    },
  } as unknown as ConsoleContext;
  const stored = async () => {
    const log = { jobId, attempt: job.attempt, stream: "console", offset: 0, maxBytes: 10_000 } as const;
    return (await readLog(store, log)).toString();
  };
  const masked = whole
    .toString()
    .replace("hunter2-and-more", "*".repeat(16))
    .replace(/hunter$/, "******");
  for (written = 1; written < whole.length; written += 1) {
    await keepConsole(context, job);
    assert.ok(masked.startsWith(await stored()), await stored());
  }
  await keepWholeConsole(context, job);
  assert.equal(await stored(), masked);
  const ended = verdict("guest_crashed", "The guest crashed.");
  const { message } = await explainVerdict(context, job, { ended, withTail: true });
  assert.match(message, /token \*{16}!/);
  assert.doesNotMatch(message, /hunter/);
});
