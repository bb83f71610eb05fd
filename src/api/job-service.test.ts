import assert from "node:assert/strict";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { hashToken } from "../access/bearer.ts";
import { SolsticeError } from "../core/errors.ts";
import { JobService } from "../gen/solstice/v1/jobs_pb.ts";
import { expireOldestLogs } from "../store/jobs/retention.ts";
import { startSession } from "../store/jobs/sessions.ts";
import { appendLog } from "../store/logs/logs.ts";
import type { Store } from "../store/store.ts";
import type { UserServerOptions } from "./server.ts";
import {
  type BootedJob,
  bootJob,
  endAttempt,
  insertTestJob,
  MemoryLog,
  openTestStore,
  postJson,
  readJob,
  startTestUserServer,
} from "./testing/fixture.ts";

async function setUp(t: TestContext, options: Partial<UserServerOptions> = {}) {
  const store = options.store ?? (await openTestStore(t));
  const server = await startTestUserServer(t, { ...options, store });
  const client = createClient(JobService, createGrpcTransport({ baseUrl: server.url }));
  const call = (method: string, body: unknown, headers: Record<string, string> = {}) =>
    postJson(`${server.url}/solstice.v1.JobService/${method}`, { body, headers });
  return { store, server, client, call };
}

function addOutput(store: Store, { jobId, attempt }: BootedJob, offset: number, data: string | Buffer) {
  const limitBytes = 1024 ** 3;
  return appendLog(store, { jobId, attempt, stream: "output", offset, data: Buffer.from(data), limitBytes });
}

async function collect(pieces: AsyncIterable<{ data: Uint8Array }>): Promise<string> {
  const parts = [];
  for await (const { data } of pieces) parts.push(data);
  return Buffer.concat(parts).toString();
}

test("Submit accepts a document, and reports the problem of an invalid one", async (t) => {
  const { call } = await setUp(t);
  const document = {
    request_id: randomUUID(),
    script: "make",
    repo_url: "https://me:pass@x.test/r",
    commit_sha: "a".repeat(40),
  };
  const { body } = await call("Submit", { jobRequestJson: JSON.stringify(document) });
  const job = body.job as Record<string, unknown>;
  assert.equal(job.requestId, document.request_id);
  const found = await call("Get", { jobId: document.request_id });
  assert.equal((found.body.job as Record<string, unknown>).id, job.id);
  const unknown = await call("Get", { jobId: randomUUID() });
  assert.match(String(unknown.body.message), /There is no job for request/);
  assert.equal(job.state, "queued");
  assert.equal(job.repoUrl, "https://***@x.test/r");

  const notJson = await call("Submit", { jobRequestJson: "{" });
  assert.deepEqual([notJson.status, notJson.headers.get("solstice-error-code")], [400, "usage"]);
  const invalid = await call("Submit", { jobRequestJson: "{}" });
  assert.match(String(invalid.body.message), /request_id/);
  const large = await call("Submit", { jobRequestJson: `"${"x".repeat(3 * 1024 * 1024)}"` });
  assert.deepEqual([large.status, large.body.code], [429, "resource_exhausted"]);
  const huge = await call("Submit", { jobRequestJson: "x".repeat(5 * 1024 * 1024) });
  assert.equal(huge.status, 429);
});

test("an error carries our code and its remedy, in every protocol and alphabet", async (t) => {
  const remedy = "Nimm „debian“ — 100 %.";
  const accept = async () => {
    throw new SolsticeError("unknown_label", "There is no label x.", { remedy });
  };
  const { server } = await setUp(t, { accept });
  const baseUrl = server.url;
  for (const transport of [
    createGrpcTransport({ baseUrl }),
    createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
    createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  ]) {
    const submitted = createClient(JobService, transport).submit({ jobRequestJson: "{}" });
    const error = ConnectError.from(await submitted.catch((reason: unknown) => reason));
    assert.equal(error.code, Code.InvalidArgument);
    assert.equal(error.rawMessage, "There is no label x.");
    assert.equal(error.metadata.get("solstice-error-code"), "unknown_label");
    assert.equal(decodeURIComponent(error.metadata.get("solstice-remedy") ?? ""), remedy);
  }
});

test("an unexpected error is logged with its cause, and the caller receives only an id", async (t) => {
  const log = new MemoryLog();
  const capacity = async () => {
    throw new TypeError("secret detail");
  };
  const { call } = await setUp(t, { log, capacity });
  const { status, body } = await call("Capacity", {});
  assert.equal(status, 500);
  assert.doesNotMatch(JSON.stringify(body), /secret/);
  const fields = log.lines.at(-1)?.fields as { err: Error; errorId: string };
  assert.equal(fields.err.message, "secret detail");
  assert.ok(String(body.message).includes(fields.errorId));
});

test("a job is found by its id, a unique prefix of its id, or its guest's name", async (t) => {
  const { store, client } = await setUp(t);
  for (const id of ["abcd1", "abcd2", "abcd22", "wxyz1"]) await insertTestJob(store, { id });
  const found = async (jobId: string) => (await client.get({ jobId })).job?.id;
  assert.equal(await found("abcd1"), "abcd1");
  assert.equal(
    await found("abcd2"),
    "abcd2",
    "a complete id takes precedence over a longer id that begins with it",
  );
  assert.equal(await found("WXYZ"), "wxyz1");
  assert.equal(await found("job-wxyz1"), "wxyz1");
  const refusals: [string, Code, RegExp][] = [
    ["abcd", Code.FailedPrecondition, /abcd1, abcd2, abcd22/],
    ["abc", Code.InvalidArgument, /not a job id/],
    ["zzzz", Code.NotFound, /no job zzzz/],
    ["%%%%", Code.InvalidArgument, /not a job id/],
  ];
  for (const [jobId, code, message] of refusals) {
    await assert.rejects(
      found(jobId),
      (error: ConnectError) => error.code === code && message.test(error.rawMessage),
    );
  }
});

test("List gives newest first, in pages and by state", async (t) => {
  const { store, client } = await setUp(t);
  const ids = [];
  for (let count = 0; count < 3; count += 1) ids.unshift((await insertTestJob(store)).id);
  await bootJob(store, ids[1] ?? "");
  const listed = async (request: object) => (await client.list(request)).jobs.map((job) => job.id);
  assert.deepEqual(await listed({}), ids);
  assert.deepEqual(await listed({ limit: 1, beforeJobId: ids[0] }), [ids[1]]);
  assert.deepEqual(await listed({ states: ["booting"] }), [ids[1]]);
  await assert.rejects(listed({ states: ["sleeping"] }), { code: Code.InvalidArgument });
  await assert.rejects(listed({ limit: 1001 }), { code: Code.ResourceExhausted });
});

test("Watch shows each state and ends with the final one", async (t) => {
  const { store, client } = await setUp(t);
  const { id } = await insertTestJob(store);
  const states: string[] = [];
  for await (const { job } of client.watch({ jobId: id })) {
    states.push(job?.state ?? "");
    if (job?.state === "queued") await bootJob(store, id);
    if (job?.state === "booting")
      await endAttempt(store, { ...(await bootedAs(store, id)) }, "settle_succeeded");
  }
  assert.equal(states[0], "queued");
  assert.ok(states.includes("booting"));
  assert.equal(states.at(-1), "succeeded");
});

async function bootedAs(store: Store, jobId: string): Promise<BootedJob> {
  return { jobId, attempt: (await readJob(store, jobId)).attempt, bootstrapToken: "", sessionToken: "" };
}

test("Logs follows an attempt from its wait in the queue to its last byte", async (t) => {
  const { store, client } = await setUp(t);
  const { id } = await insertTestJob(store);
  const pieces = client.logs({ jobId: id, follow: true })[Symbol.asyncIterator]();
  const first = (await pieces.next()).value;
  assert.deepEqual([first?.attempt, first?.data.length], [1, 0]);
  const booted = await bootJob(store, id);
  await addOutput(store, booted, 0, "one\n");
  assert.equal(Buffer.from((await pieces.next()).value?.data ?? "").toString(), "one\n");
  await addOutput(store, booted, 4, "two\n");
  const second = (await pieces.next()).value;
  assert.deepEqual([second?.offset, Buffer.from(second?.data ?? "").toString()], [4n, "two\n"]);
  await addOutput(store, booted, 8, "last");
  await endAttempt(store, booted, "settle_succeeded");
  assert.equal(Buffer.from((await pieces.next()).value?.data ?? "").toString(), "last");
  assert.equal((await pieces.next()).done, true);
});

test("a retried job's stream ends with its attempt; following the next attempt waits for its start", async (t) => {
  const { store, client } = await setUp(t);
  const { id } = await insertTestJob(store);
  const first = await bootJob(store, id);
  await addOutput(store, first, 0, "first");
  const following = collect(client.logs({ jobId: id, follow: true }));
  await endAttempt(store, first, "requeue");
  assert.equal(await following, "first");

  const next = client.logs({ jobId: id, follow: true, attempt: 2 })[Symbol.asyncIterator]();
  assert.equal((await next.next()).value?.attempt, 2);
  const second = await bootJob(store, id);
  await addOutput(store, second, 0, "second");
  assert.equal(Buffer.from((await next.next()).value?.data ?? "").toString(), "second");
  await endAttempt(store, second, "settle_succeeded");
  assert.equal((await next.next()).done, true);

  assert.equal(await collect(client.logs({ jobId: id, attempt: 1 })), "first");
  assert.equal(await collect(client.logs({ jobId: id })), "second");
  assert.equal(await collect(client.logs({ jobId: id, offset: 3n })), "ond");
  await assert.rejects(collect(client.logs({ jobId: id, attempt: 3 })), { code: Code.NotFound });
  await assert.rejects(collect(client.logs({ jobId: id, stream: "input" })), { code: Code.InvalidArgument });
});

test("Logs without follow ends while the job continues", async (t) => {
  const { store, client } = await setUp(t);
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  await addOutput(store, booted, 0, "so far");
  assert.equal(await collect(client.logs({ jobId: booted.jobId })), "so far");
});

test("Cancel is recorded once, and does not change a job that has ended", async (t) => {
  const { store, client } = await setUp(t, { now: () => 7000 });
  const running = await bootJob(store, (await insertTestJob(store)).id);
  assert.equal((await client.cancel({ jobId: running.jobId })).job?.cancelRequested, true);
  assert.equal((await readJob(store, running.jobId)).cancelRequestedAt, 7000);
  await endAttempt(store, running, "settle_succeeded");
  assert.equal((await client.cancel({ jobId: running.jobId })).job?.state, "succeeded");
});

test("a verdict, steps and transitions are shown; an exit code only where there is one", async (t) => {
  const { store, client } = await setUp(t);
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  await startSession(store, {
    bootstrapTokenHash: hashToken(booted.bootstrapToken),
    sessionTokenHash: hashToken(booted.sessionToken),
    at: 2500,
    accept: () => {},
  });
  await endAttempt(store, booted, "settle_succeeded");
  const { job } = await client.get({ jobId: booted.jobId });
  assert.equal(job?.verdict?.reason, "completed");
  assert.equal(job?.verdict?.exitCode, 0);
  assert.deepEqual(
    job?.steps.map((step) => [step.name, step.exitCode]),
    [
      ["checkout", undefined],
      ["test", undefined],
    ],
  );
  assert.deepEqual(
    job?.transitions.map(({ to }) => to),
    ["queued", "provisioning", "booting", "running", "finalizing", "succeeded"],
  );
  assert.equal(job?.log?.completeness, "cut_short");
});

test("a log that retention removed is reported as removed, never as empty", async (t) => {
  const { store, client } = await setUp(t);
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  await addOutput(store, booted, 0, "hello");
  await endAttempt(store, booted, "settle_succeeded");
  const at = Date.now() + 60_000;
  await expireOldestLogs(store, { bytes: 1, at, after: null });
  const { job } = await client.get({ jobId: booted.jobId });
  assert.equal(job?.log?.completeness, "expired");
  assert.equal(job?.log?.receivedBytes, 5n);
  assert.equal(job?.log?.expiredMs, BigInt(at));
  for (const follow of [true, false]) {
    await assert.rejects(collect(client.logs({ jobId: booted.jobId, follow })), {
      code: Code.NotFound,
      message: /removed by retention on \d{4}-\d\d-\d\d/,
    });
  }
});

test("Capacity and Explain return the orchestrator's answers", async (t) => {
  const { store, client } = await setUp(t);
  const { id } = await insertTestJob(store);
  assert.equal((await client.capacity({})).maxConcurrency, 2);
  assert.match((await client.explain({ jobId: id })).message, new RegExp(id));
});

test("a large log arrives whole, in pieces of at most 256 KiB", async (t) => {
  const { store, client } = await setUp(t);
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  const megabyte = randomBytes(1024 * 1024);
  const expected = createHash("sha256");
  const received = createHash("sha256");
  for (let offset = 0; offset < 20 * megabyte.length; offset += megabyte.length) {
    await addOutput(store, booted, offset, megabyte);
    expected.update(megabyte);
  }
  await endAttempt(store, booted, "settle_succeeded");
  for await (const { data } of client.logs({ jobId: booted.jobId, follow: true })) {
    assert.ok(data.length <= 256 * 1024);
    received.update(data);
  }
  assert.equal(received.digest("hex"), expected.digest("hex"));
});

test("a follower that disconnects frees its slot, over both protocols", { timeout: 20_000 }, async (t) => {
  const store = await openTestStore(t);
  const { server } = await setUp(t, { store, limits: { maxInFlight: 1 } });
  const { id } = await insertTestJob(store);
  const baseUrl = server.url;
  for (const transport of [
    createGrpcTransport({ baseUrl }),
    createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  ]) {
    const reader = new AbortController();
    const request = { jobId: id, follow: true };
    const pieces = createClient(JobService, transport).logs(request, { signal: reader.signal });
    const iterator = pieces[Symbol.asyncIterator]();
    assert.equal((await iterator.next()).value?.attempt, 1);
    assert.equal((await fetch(`${baseUrl}/healthz`)).status, 429);
    const next = iterator.next();
    reader.abort();
    await assert.rejects(next, { code: Code.Canceled });
    while ((await fetch(`${baseUrl}/healthz`)).status === 429);
  }
});
