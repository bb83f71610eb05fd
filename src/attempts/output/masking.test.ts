import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { propertyRuns } from "../../../test/support/sampling.ts";
import { describeJob } from "../../api/job-view.ts";
import {
  type BootedJob,
  bootJob,
  insertTestJob,
  openTestStore,
  postJson,
  readJob,
  startTestRunnerServer,
} from "../../api/testing/fixture.ts";
import { getMachine } from "../../store/jobs/machines.ts";
import { logStatus, readLog } from "../../store/logs/logs.ts";
import type { Store } from "../../store/store.ts";
import { AttemptMasks } from "./attempt-masks.ts";
import { maskWhole } from "./masked-stream.ts";
import { releaseOutput } from "./output-log.ts";

const secret = "hunter2-and-more";
const sha256 = (data: string) => createHash("sha256").update(data).digest("hex");
const limits = { logLimitBytes: 1024 * 1024 };

/** A server with its own masks, like each process; `values` are the secrets in the operator's file. */
async function serve(t: TestContext, store: Store, values: readonly string[] = [secret]) {
  const masks = new AttemptMasks(() => values);
  const server = await startTestRunnerServer(t, {
    store,
    masks,
    buildPlan: () => ({ plan: "PLAN\n", masked: values }),
  });
  const runner = (booted: BootedJob) => {
    const call = (method: string, body: unknown, token = booted.sessionToken) =>
      postJson(`${server.url}/solstice.v1.RunnerService/${method}`, { body, token });
    return {
      call,
      start: () => call("Start", { sessionToken: booted.sessionToken }, booted.bootstrapToken),
      append: async (offset: number, text: string) => {
        const data = Buffer.from(text).toString("base64");
        return Number((await call("AppendLog", { offset: String(offset), data })).body.received ?? 0);
      },
      finish: (text: string) =>
        call("Finish", { exitCode: 0, logLength: String(text.length), logSha256: sha256(text) }),
    };
  };
  return { masks, runner };
}

async function setUp(t: TestContext) {
  const store = await openTestStore(t);
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  const log = { jobId: booted.jobId, attempt: booted.attempt, stream: "output" as const };
  const stored = async () => (await readLog(store, { ...log, offset: 0, maxBytes: 1_000_000 })).toString();
  const received = async () => (await logStatus(store, log)).received;
  return { store, booted, stored, received };
}

test("a secret split across appends is masked before it is stored, and counts as received", async (t) => {
  const { store, booted, stored, received } = await setUp(t);
  const { start, append, finish } = (await serve(t, store)).runner(booted);
  await start();
  const text = `a ${secret} b {}\n`;
  assert.equal(await append(0, text.slice(0, 9)), 9);
  assert.equal(await stored(), "a ", "a possible beginning of the secret is not stored");
  assert.equal(await received(), 2);
  assert.equal(await append(0, ""), 9, "a heartbeat does not make the runner send the held bytes again");
  assert.equal(await append(9, text.slice(9)), text.length);
  assert.equal(await stored(), `a ${"*".repeat(secret.length)} b {}\n`);
  assert.deepEqual((await finish(text)).status, 200);
  assert.equal((await describeJob(store, booted.jobId))?.log?.completeness, "complete");
});

test("repeats and gaps are handled as without secrets", async (t) => {
  const { store, booted, stored } = await setUp(t);
  const { start, append } = (await serve(t, store)).runner(booted);
  await start();
  assert.equal(await append(0, "one hunt"), 8);
  assert.equal(await append(0, "one hunt"), 8);
  assert.equal(await append(4, "hunter"), 10);
  assert.equal(await append(12, "beyond"), 10);
  assert.equal(await append(10, "!"), 11);
  assert.equal(await stored(), "one hunter!");
});

test("Finish stores the held bytes; a longer beginning of a secret stays masked", async (t) => {
  for (const [end, shown] of [
    ["hun", "hun"],
    [secret.slice(0, 10), "*".repeat(10)],
  ] as const) {
    const { store, booted, stored } = await setUp(t);
    const { runner } = await serve(t, store);
    const { start, append, finish } = runner(booted);
    await start();
    const text = `end: ${end}`;
    await append(0, text);
    assert.equal(await stored(), "end: ");
    assert.equal((await finish(text)).status, 200);
    assert.equal(await stored(), `end: ${shown}`);
    assert.equal((await describeJob(store, booted.jobId))?.log?.completeness, "complete");
    assert.equal((await finish(text)).status, 200, "a repeated Finish is fine");
  }
});

test("the held bytes of an attempt that ends without Finish are stored", async (t) => {
  const { store, booted, stored } = await setUp(t);
  const { masks, runner } = await serve(t, store);
  const { start, append } = runner(booted);
  await start();
  await append(0, "cut off: hunt");
  const job = await readJob(store, booted.jobId);
  await releaseOutput({ store, masks, ...limits }, job, masks.of(job));
  assert.equal(await stored(), "cut off: hunt");
});

test("after a restart the runner sends the last bytes again, and no part of a secret shows", async (t) => {
  const { store, booted, stored, received } = await setUp(t);
  const text = `${"x".repeat(5000)} ${secret} end\n`;
  const cut = text.indexOf(secret) + 7;
  const before = (await serve(t, store)).runner(booted);
  await before.start();
  assert.equal(await before.append(0, text.slice(0, cut)), cut);
  const kept = await received();
  assert.equal(kept, text.indexOf(secret));

  // Another process: it has only the store and the operator's file.
  const after = (await serve(t, store)).runner(booted);
  const from = await after.append(cut, text.slice(cut));
  assert.ok(from < kept && from > kept - 200, `${from} is a little before ${kept}`);
  assert.equal((await after.finish(text)).status, 400, "Finish is refused while bytes are missing");
  assert.equal(await after.append(from, text.slice(from)), text.length);
  assert.equal((await after.finish(text)).status, 200);
  assert.equal(await stored(), text.replace(secret, "*".repeat(secret.length)));
  assert.equal((await describeJob(store, booted.jobId))?.log?.completeness, "complete");
});

test("property: with any cuts, repeats and restarts, the log is the masked output", {
  timeout: 120_000,
}, async (t) => {
  const patterns = ["abcabd", "cabdxyz"];
  const piece = fc.constantFrom("a", "b", "abc", "cab", "abcabd", "cabdxyz", "-", "abcabcabdxyz");
  const text = fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join(""));
  await fc.assert(
    fc.asyncProperty(text, fc.infiniteStream(fc.integer({ min: 1, max: 9 })), async (output, sizes) => {
      const { store, booted, stored } = await setUp(t);
      let runner = (await serve(t, store, patterns)).runner(booted);
      await runner.start();
      let sent = 0;
      for (let round = 0; sent < output.length; round++) {
        assert.ok(round < 500, "too many rounds");
        const size = sizes.next().value;
        // Restarts the orchestrator after a third of the appends, up to a limit.
        if (size % 3 === 0 && round < 20) runner = (await serve(t, store, patterns)).runner(booted);
        sent = await runner.append(
          Math.max(0, sent - (size % 4)),
          output.slice(Math.max(0, sent - (size % 4)), sent + size),
        );
      }
      assert.equal((await runner.finish(output)).status, 200);
      const masked = [...output].map((letter, at) =>
        patterns.some((pattern) =>
          [...pattern].some((_, back) => output.startsWith(pattern, at - back) && at - back >= 0),
        )
          ? "*"
          : letter,
      );
      assert.equal((await stored()).slice(0, -6), masked.join("").slice(0, -6));
      assert.equal((await stored()).length, output.length);
      assert.equal((await describeJob(store, booted.jobId))?.log?.completeness, "complete");
    }),
    propertyRuns(8, 100),
  );
});

test("a value given to an attempt stays masked when the operator changes it", async (t) => {
  const { store, booted, stored } = await setUp(t);
  let value = "the-old-value";
  const masks = new AttemptMasks(() => [value]);
  const server = await startTestRunnerServer(t, {
    store,
    masks,
    buildPlan: () => ({ plan: "PLAN\n", masked: [value] }),
  });
  const call = (method: string, body: unknown, token: string) =>
    postJson(`${server.url}/solstice.v1.RunnerService/${method}`, { body, token });
  const start = () => call("Start", { sessionToken: booted.sessionToken }, booted.bootstrapToken);
  await start();
  value = "the-new-value";
  await start();
  const data = Buffer.from("the-old-value the-new-value the-red-value\n").toString("base64");
  await call("AppendLog", { offset: "0", data }, booted.sessionToken);
  assert.equal(await stored(), `${"*".repeat(13)} ${"*".repeat(13)} the-red-value\n`);

  // The console is stored after Finish, and must still be masked by both values.
  const [logLength, logSha256] = ["42", sha256("the-old-value the-new-value the-red-value\n")];
  assert.equal(
    (await call("Finish", { exitCode: 0, logLength, logSha256 }, booted.sessionToken)).status,
    200,
  );
  const search = masks.of(await readJob(store, booted.jobId))?.search ?? null;
  const shown = maskWhole(search, Buffer.from("the-old-value the-new-value the-red-value"));
  assert.equal(Buffer.from(shown).toString(), `${"*".repeat(13)} ${"*".repeat(13)} the-red-value`);
});

test("a secret in the guest's sentence about a failure is masked before it becomes a part of the verdict", async (t) => {
  const { store, booted } = await setUp(t);
  const server = await serve(t, store);
  await server.runner(booted).start();
  const failureDetail = Buffer.from(`no file matches dist/${secret}/*.deb`).toString("base64");
  const end = {
    exitCode: 1,
    failure: "artifact_missing",
    failureDetail,
    logLength: "0",
    logSha256: sha256(""),
  };
  assert.equal((await server.runner(booted).call("Finish", end)).status, 200);
  const machine = await getMachine(store, booted);
  assert.equal(machine?.runnerFailureDetail, `no file matches dist/${"*".repeat(secret.length)}/*.deb`);
});

test("bytes that the store refused are not lost: the runner sends them again", async (t) => {
  const { store, booted, stored } = await setUp(t);
  const { start, append } = (await serve(t, store)).runner(booted);
  await start();
  assert.equal(await append(0, "one "), 4);
  const { write } = store;
  Object.assign(store, { write: () => Promise.reject(new Error("disk full")) });
  await append(4, `two ${secret} three`);
  Object.assign(store, { write });
  const from = await append(999, "beyond");
  assert.ok(from <= 4, String(from));
  await append(from, `one two ${secret} three`.slice(from));
  assert.equal(await stored(), `one two ${"*".repeat(secret.length)} three`);
});
