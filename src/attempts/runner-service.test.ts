import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, test } from "node:test";
import { Code, type ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { isExhaustive } from "../../test/support/sampling.ts";
import { hashToken } from "../access/bearer.ts";
import { describeJob } from "../api/job-view.ts";
import type { RunnerServerOptions } from "../api/server.ts";
import {
  type BootedJob,
  bootJob,
  endAttempt,
  insertTestJob,
  MemoryLog,
  openTestStore,
  postJson,
  readJob,
  startTestRunnerServer,
} from "../api/testing/fixture.ts";
import { verdict } from "../core/job/verdict.ts";
import { RunnerService, StepPhase } from "../gen/solstice/v1/runner_pb.ts";
import { applyEvent, claimJob, requestCancel } from "../store/jobs/jobs.ts";
import { getMachine } from "../store/jobs/machines.ts";
import { listSteps } from "../store/jobs/steps.ts";
import { logStatus, readLog } from "../store/logs/logs.ts";
import type { Store } from "../store/store.ts";

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const base64 = (text: string) => Buffer.from(text).toString("base64");

/** A booted job, a runner endpoint, and a function that calls the endpoint as the guest's curl does. */
async function setUp(t: TestContext, options: Partial<RunnerServerOptions> = {}) {
  const store = options.store ?? (await openTestStore(t));
  const server = await startTestRunnerServer(t, { ...options, store });
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  const call = (method: string, body: unknown, token: string = booted.sessionToken) =>
    postJson(`${server.url}/solstice.v1.RunnerService/${method}`, { body, token });
  const start = () => call("Start", { sessionToken: booted.sessionToken }, booted.bootstrapToken);
  return { store, server, booted, call, start };
}

async function outputOf(store: Store, { jobId, attempt }: BootedJob): Promise<string> {
  const log = { jobId, attempt, stream: "output" as const };
  return (await readLog(store, { ...log, offset: 0, maxBytes: 1_000_000 })).toString();
}

test("a runner's whole life as plain JSON posts", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  const { jobId, attempt } = booted;

  const started = await start();
  assert.equal(started.status, 200);
  assert.equal(Buffer.from(String(started.body.plan), "base64").toString(), `JOB_ID=${jobId}\n`);
  assert.equal(started.body.heartbeatSeconds, 10);
  assert.equal((await readJob(store, jobId)).state, "running");

  await call("ReportStep", { index: 1, phase: "STEP_PHASE_STARTED", logOffset: 0 });
  const appended = await call("AppendLog", { offset: 0, data: base64("hello\n") });
  assert.deepEqual(appended.body, { received: "6" });
  await call("ReportStep", { index: 1, phase: "STEP_PHASE_FINISHED", exitCode: 3, logOffset: "6" });
  const finished = await call("Finish", { exitCode: 3, logLength: "6", logSha256: sha256("hello\n") });
  assert.deepEqual([finished.status, finished.body], [200, {}]);

  assert.equal(await outputOf(store, booted), "hello\n");
  const step = (await listSteps(store, { jobId, attempt }))[1];
  assert.deepEqual([step?.state, step?.exitCode, step?.logStart, step?.logEnd], ["failed", 3, 0, 6]);
  const machine = await getMachine(store, { jobId, attempt });
  assert.equal(machine?.runnerExitCode, 3);
  assert.equal(machine?.logSha256, sha256("hello\n"));
  assert.equal((await describeJob(store, jobId))?.log?.completeness, "complete");
  // The service only records; the lifecycle loop makes the verdict.
  assert.equal((await readJob(store, jobId)).state, "running");
});

const transports = {
  gRPC: (baseUrl: string) => createGrpcTransport({ baseUrl }),
  "gRPC-web": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect binary over HTTP/2": (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2" }),
};
for (const [name, transport] of Object.entries(transports)) {
  test(`the same port serves ${name}`, async (t) => {
    const { store, server, booted } = await setUp(t);
    const client = createClient(RunnerService, transport(server.url));
    const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    await client.start({ sessionToken: booted.sessionToken }, bearer(booted.bootstrapToken));
    const as = bearer(booted.sessionToken);
    const { received } = await client.appendLog({ offset: 0n, data: Buffer.from("binary\0") }, as);
    assert.equal(received, 7n);
    await client.reportStep({ index: 0, phase: StepPhase.STARTED, logOffset: 7n }, as);
    await client.finish({ exitCode: 0, logLength: 7n, logSha256: sha256("binary\0") }, as);
    assert.equal(await outputOf(store, booted), "binary\0");
    await assert.rejects(client.appendLog({}, bearer("x".repeat(40))), (error: ConnectError) => {
      assert.equal(error.code, Code.Unauthenticated);
      assert.equal(error.metadata.get("solstice-error-code"), "guest_refused");
      return true;
    });
  });
}

test("a repeated Start succeeds with the same session, and is refused with another", async (t) => {
  const { booted, call, start } = await setUp(t);
  const first = await start();
  assert.deepEqual((await start()).body, first.body);
  const thief = await call("Start", { sessionToken: "t".repeat(40) }, booted.bootstrapToken);
  assert.equal(thief.status, 401);
  assert.equal((await call("AppendLog", {}, "t".repeat(40))).status, 401);
  assert.equal((await call("AppendLog", {})).status, 200);
});

test("a guest that calls before its host recorded the boot is served", async (t) => {
  const store = await openTestStore(t);
  const { server } = await setUp(t, { store });
  const { id } = await insertTestJob(store);
  const bootstrapTokenHash = hashToken("quick");
  const prepare = () => ({ bootstrapTokenHash, stepNames: ["test"] });
  await claimJob(store, { jobId: id, hostId: "host-1", at: 2000, backend: "noop", prepare });
  const url = `${server.url}/solstice.v1.RunnerService/Start`;
  const { status } = await postJson(url, { body: { sessionToken: "s".repeat(40) }, token: "quick" });
  assert.equal(status, 200);
  assert.equal((await readJob(store, id)).state, "running");
});

test("every invalid token is refused with the same message", async (t) => {
  const { store, booted, call, start, server } = await setUp(t);
  await start();
  const other = await bootJob(store, (await insertTestJob(store)).id);
  const url = `${server.url}/solstice.v1.RunnerService/AppendLog`;
  const answers = [
    await postJson(url, { body: {} }),
    await call("AppendLog", {}, "wrong"),
    await call("AppendLog", {}, booted.bootstrapToken),
    await call("AppendLog", {}, other.sessionToken),
    await call("Start", { sessionToken: "s".repeat(40) }, booted.sessionToken),
    await call("Start", { sessionToken: "s".repeat(40) }, "wrong"),
  ];
  for (const { status, body } of answers) {
    assert.equal(status, 401);
    assert.deepEqual(body, {
      code: "unauthenticated",
      message: "The token does not belong to a running job.",
    });
  }
});

test("the tokens of an ended attempt are refused", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  await endAttempt(store, booted, "requeue");
  const next = await bootJob(store, booted.jobId);
  assert.equal((await call("AppendLog", { data: base64("late") })).status, 401);
  assert.equal((await start()).status, 401);
  assert.equal(await outputOf(store, next), "");
});

test("a job whose plan cannot be built does not become running, and the cause stays in our log", async (t) => {
  const log = new MemoryLog();
  const buildPlan = () => {
    throw new Error("secret detail");
  };
  const { store, booted, start } = await setUp(t, { log, buildPlan });
  const answer = await start();
  assert.equal(answer.status, 500);
  assert.doesNotMatch(JSON.stringify(answer.body), /secret detail/);
  const fields = log.lines.find(({ level }) => level === "error")?.fields as { err: Error; errorId: string };
  assert.match(fields.err.message, /secret detail/);
  assert.match(JSON.stringify(answer.body), new RegExp(fields.errorId));
  assert.equal((await readJob(store, booted.jobId)).state, "booting");
});

test("repeated and overlapping bytes are stored once; a gap returns the offset to continue from", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  await call("AppendLog", { offset: 0, data: base64("abc") });
  assert.deepEqual((await call("AppendLog", { offset: 0, data: base64("abc") })).body, { received: "3" });
  assert.deepEqual((await call("AppendLog", { offset: 2, data: base64("cde") })).body, { received: "5" });
  assert.deepEqual((await call("AppendLog", { offset: 9, data: base64("x") })).body, { received: "5" });
  assert.deepEqual((await call("AppendLog", {})).body, { received: "5" });
  assert.equal(await outputOf(store, booted), "abcde");
});

const manyAppends = isExhaustive ? 300 : 60;

test("many tiny appends, many of them sent twice concurrently, are stored once and in order", async (t) => {
  const { store, server, booted, start } = await setUp(t);
  await start();
  const client = createClient(RunnerService, createGrpcTransport({ baseUrl: server.url }));
  const headers = { authorization: `Bearer ${booted.sessionToken}` };
  let expected = "";
  for (let index = 0; index < manyAppends; index += 1) {
    const append = { offset: BigInt(expected.length), data: Buffer.from(`${index}\n`) };
    const repeats = index % 4 === 0 ? [append, append] : [append];
    await Promise.all(repeats.map((call) => client.appendLog(call, { headers })));
    expected += `${index}\n`;
  }
  assert.equal(await outputOf(store, booted), expected);
});

test("Finish is refused while output is missing, and reports how much has arrived", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  await call("AppendLog", { offset: 0, data: base64("abc") });
  const early = await call("Finish", { exitCode: 0, logLength: 9, logSha256: sha256("abcdefghi") });
  assert.equal(early.status, 400);
  assert.equal(early.body.code, "failed_precondition");
  assert.match(String(early.body.message), /received=3 of 9/);
  assert.equal((await getMachine(store, booted))?.runnerFinishedAt, null);
});

test("after Finish appends are refused, and a repeated Finish changes nothing", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  await call("AppendLog", { offset: 0, data: base64("abc") });
  const finish = { exitCode: 0, logLength: 3, logSha256: sha256("abc").toUpperCase() };
  assert.equal((await call("Finish", finish)).status, 200);
  const machine = await getMachine(store, booted);
  assert.equal((await call("Finish", finish)).status, 200, "an answer may have been lost");
  for (const other of [
    { exitCode: 1 },
    { logLength: 2 },
    { logSha256: sha256("x") },
    { failure: "checkout" },
  ]) {
    const again = await call("Finish", { ...finish, ...other });
    assert.deepEqual([again.status, again.headers.get("solstice-error-code")], [400, "conflict"]);
  }
  const append = await call("AppendLog", { offset: 3, data: base64("more") });
  assert.equal(append.body.code, "failed_precondition");
  const step = await call("ReportStep", { index: 0, phase: "STEP_PHASE_STARTED" });
  assert.equal(step.body.code, "failed_precondition");
  assert.equal((await call("AppendLog", {})).status, 200, "a heartbeat is still accepted");
  assert.equal(await outputOf(store, booted), "abc");
  assert.deepEqual((await getMachine(store, booted))?.runnerExitCode, machine?.runnerExitCode);
});

for (const [what, finish] of [
  ["digest", { logLength: 3, logSha256: sha256("abd") }],
  ["length", { logLength: 2, logSha256: sha256("abc") }],
] as const) {
  test(`a ${what} that disagrees is recorded, and the log is marked as differing`, async (t) => {
    const log = new MemoryLog();
    const { store, booted, call, start } = await setUp(t, { log });
    await start();
    await call("AppendLog", { offset: 0, data: base64("abc") });
    assert.equal((await call("Finish", { exitCode: 0, ...finish })).status, 200);
    assert.equal((await describeJob(store, booted.jobId))?.log?.completeness, "differs");
    assert.equal((await getMachine(store, booted))?.logSha256, finish.logSha256);
    assert.ok(log.lines.some(({ level }) => level === "warn"));
  });
}

test("an empty log is complete, and a log over its limit is truncated", async (t) => {
  const { store, booted, call, start } = await setUp(t, { logLimitBytes: 2 });
  await start();
  const silent = await setUp(t, { store });
  await silent.start();
  await silent.call("Finish", { exitCode: 0, logLength: 0, logSha256: sha256("") });
  assert.equal((await describeJob(store, silent.booted.jobId))?.log?.completeness, "complete");
  await call("AppendLog", { offset: 0, data: base64("abcdef") });
  await call("Finish", { exitCode: 0, logLength: 6, logSha256: sha256("abcdef") });
  assert.equal((await describeJob(store, booted.jobId))?.log?.completeness, "truncated");
  assert.equal(await outputOf(store, booted), "a");
});

test("Finish without the rest of the output is accepted with log_lost, and the gap is recorded", async (t) => {
  const log = new MemoryLog();
  const { store, booted, call, start } = await setUp(t, { log });
  await start();
  await call("AppendLog", { offset: 0, data: base64("abc") });
  const finish = { exitCode: 3, logLength: 10, logSha256: sha256("abcdefghij") };
  assert.equal((await call("Finish", finish)).status, 400);
  assert.equal((await call("Finish", { ...finish, logLost: true })).status, 200);
  const { log: status } = (await describeJob(store, booted.jobId)) ?? {};
  assert.deepEqual([status?.completeness, status?.missingFrom, status?.missingTo], ["gap", 3n, 10n]);
  assert.ok(log.lines.some(({ level }) => level === "warn"));
});

test("a failure is recorded; an unknown failure is refused", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  const finish = { exitCode: 128, logLength: 0, logSha256: sha256("") };
  assert.equal((await call("Finish", { ...finish, failure: "gremlins" })).status, 400);
  assert.equal((await call("Finish", { ...finish, failure: "checkout" })).status, 200);
  assert.equal((await getMachine(store, booted))?.runnerFailure, "checkout");
});

test("a runner receives stop when its job was cancelled, and when its attempt has a verdict", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  assert.equal((await call("AppendLog", {})).body.stop, undefined);
  await requestCancel(store, { jobId: booted.jobId, at: 5000 });
  assert.equal((await call("ReportStep", { index: 0, phase: "STEP_PHASE_STARTED" })).body.stop, true);

  const other = await setUp(t);
  await other.start();
  const stopped = verdict("host_shutdown", "The host is shutting down.");
  await applyEvent(other.store, { ...other.booted, event: "conclude", at: 5000, verdict: stopped });
  assert.equal((await other.call("AppendLog", { data: base64("x") })).body.stop, true);
});

test("the guest of a host that was taken over is refused, and its calls record nothing", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  await call("AppendLog", { data: base64("before") });
  const lost = verdict("host_lost", "The host is lost.");
  await applyEvent(store, { ...booted, event: "conclude", at: 5000, verdict: lost });
  await applyEvent(store, { ...booted, event: "requeue", at: 5000 });
  const finish = { exitCode: 0, logLength: 6, logSha256: sha256("before") };
  for (const [method, body] of [
    ["AppendLog", { offset: 6, data: base64("after") }],
    ["ReportStep", { index: 0, phase: "STEP_PHASE_STARTED" }],
    ["Finish", finish],
  ] as const) {
    assert.equal((await call(method, body)).status, 401, method);
  }
  assert.equal((await start()).status, 401);
  assert.equal((await getMachine(store, booted))?.runnerFinishedAt, null);
  assert.equal((await logStatus(store, { ...booted, stream: "output" })).received, 6);
});

test("heartbeats are recorded at most once a second", async (t) => {
  let now = 10_000;
  const { store, booted, call, start } = await setUp(t, { now: () => now });
  await start();
  const seenAt = async () => (await getMachine(store, booted))?.runnerSeenAt;
  for (const [at, recorded] of [
    [10_900, 10_000],
    [11_100, 11_100],
    [11_900, 11_100],
  ] as const) {
    now = at;
    await call("AppendLog", {});
    assert.equal(await seenAt(), recorded);
  }
});

test("invalid calls of a hostile guest are refused, and the server keeps running", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  const refusals: [string, unknown, number][] = [
    ["AppendLog", "{", 400],
    ["AppendLog", { offset: -1 }, 400],
    ["AppendLog", { offset: "18446744073709551615", data: base64("x") }, 400],
    ["AppendLog", { data: base64("x".repeat(1024 * 1024 + 1)) }, 429],
    ["AppendLog", { data: base64("x".repeat(3 * 1024 * 1024)) }, 429],
    ["ReportStep", { index: 2, phase: "STEP_PHASE_STARTED" }, 400],
    ["ReportStep", { index: 0 }, 400],
    ["Finish", { exitCode: 0, logLength: 0, logSha256: "zz" }, 400],
    ["Finish", { exitCode: 0, logLength: "18446744073709551615", logSha256: sha256("") }, 400],
  ];
  for (const [method, body, status] of refusals) {
    assert.equal((await call(method, body)).status, status, `${method} ${JSON.stringify(body).slice(0, 60)}`);
  }
  const wordy = { sessionToken: booted.sessionToken, runnerVersion: "v".repeat(101) };
  assert.equal((await call("Start", wordy, booted.bootstrapToken)).status, 400);
  for (const sessionToken of ["short", "s".repeat(501), `${"s".repeat(40)}\n`]) {
    assert.equal((await call("Start", { sessionToken }, booted.bootstrapToken)).status, 400);
  }
  assert.equal(await outputOf(store, booted), "");
  assert.equal((await call("AppendLog", { data: base64("x".repeat(1024 * 1024)) })).status, 200);
});

test("a flood of one machine receives 200 or 429, and others are served meanwhile", async (t) => {
  const { store, booted, call, start } = await setUp(t);
  await start();
  const other = await setUp(t, { store });
  const flood = Array.from({ length: 30 }, () => call("AppendLog", { data: base64("x".repeat(500_000)) }));
  const [answers, otherStart] = await Promise.all([Promise.all(flood), other.start()]);
  assert.deepEqual(
    answers.filter(({ status }) => status !== 200 && status !== 429),
    [],
  );
  assert.equal(otherStart.status, 200);
  assert.equal(
    (await readLog(store, { ...booted, stream: "output", offset: 499_999, maxBytes: 9 })).length,
    1,
  );
});
