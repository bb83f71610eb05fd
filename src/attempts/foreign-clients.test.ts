/** The service as foreign clients see it: grpc-js, hand-made gRPC-Web frames, and plain fetch. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { describeJob } from "../api/job-view.ts";
import {
  bootJob,
  endAttempt,
  insertTestJob,
  openTestStore,
  readJob,
  startTestRunnerServer,
  startTestUserServer,
} from "../api/testing/fixture.ts";
import { endOfStream, GrpcJsClient, grpcErrorParts } from "../api/testing/grpc-js.ts";
import {
  AppendLogRequestSchema,
  AppendLogResponseSchema,
  StartRequestSchema,
  StartResponseSchema,
} from "../gen/solstice/v1/runner_pb.ts";
import { getMachine } from "../store/jobs/machines.ts";
import { listSteps } from "../store/jobs/steps.ts";
import { appendLog } from "../store/logs/logs.ts";

const sha256 = (data: string) => createHash("sha256").update(data).digest("hex");

function openClient(t: TestContext, ...to: ConstructorParameters<typeof GrpcJsClient>): GrpcJsClient {
  const client = new GrpcJsClient(...to);
  t.after(() => client.close());
  return client;
}

async function setUp(t: TestContext) {
  const store = await openTestStore(t);
  const server = await startTestRunnerServer(t, { store });
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  const client = openClient(t, "RunnerService", { url: server.url, token: booted.sessionToken });
  const start = () => client.call("Start", { sessionToken: booted.sessionToken }, booted.bootstrapToken);
  return { store, server, booted, client, start };
}

/** The error of a call that must fail, as a gRPC client receives it. */
async function failureOf(call: Promise<unknown>) {
  return grpcErrorParts(
    await call.then(
      () => assert.fail("the call succeeded"),
      (error: unknown) => error,
    ),
  );
}

test("grpc-js: a runner's whole life", async (t) => {
  const { store, booted, client, start } = await setUp(t);
  const started = await start();
  assert.equal(String(started.plan), `JOB_ID=${booted.jobId}\n`);
  assert.equal(started.heartbeatSeconds, 10);
  assert.deepEqual(await start(), started, "repeated");
  await client.call("ReportStep", { index: 1, phase: "STEP_PHASE_STARTED" });
  const data = Buffer.from("bytes\0\xff");
  const length = String(data.length);
  assert.equal((await client.call("AppendLog", { offset: 0, data })).received, length);
  assert.equal((await client.call("AppendLog", { offset: 0, data })).received, length, "repeated");
  assert.equal((await client.call("AppendLog", { offset: 99, data })).received, length, "a gap");
  const ended = { index: 1, phase: "STEP_PHASE_FINISHED", exitCode: -3, logOffset: length };
  await client.call("ReportStep", ended);
  const finish = { exitCode: -3, logLength: length, logSha256: sha256(data.toString()) };
  assert.deepEqual(await client.call("Finish", finish), { holdSeconds: 0 });
  assert.deepEqual(await client.call("Finish", finish), { holdSeconds: 0 }, "repeated");

  assert.equal((await describeJob(store, booted.jobId))?.log?.completeness, "complete");
  const step = (await listSteps(store, booted))[1];
  assert.deepEqual([step?.state, step?.exitCode, step?.logEnd], ["failed", -3, data.length]);
  assert.equal((await getMachine(store, booted))?.runnerExitCode, -3);
  assert.equal((await readJob(store, booted.jobId)).state, "running", "the runner makes no verdict");
});

test("grpc-js: each refusal has the gRPC status, our code, and its remedy", async (t) => {
  const { store, booted, client, start } = await setUp(t);
  const refused = { status: status.UNAUTHENTICATED, code: "guest_refused", remedy: undefined };
  assert.deepEqual(await failureOf(client.call("AppendLog", {})), refused, "before Start");
  await start();
  assert.deepEqual(await failureOf(client.call("AppendLog", {}, "wrong")), refused);
  const sessionToken = "t".repeat(40);
  assert.deepEqual(await failureOf(client.call("Start", { sessionToken }, booted.bootstrapToken)), refused);
  const noStep = await failureOf(client.call("ReportStep", { index: 9, phase: "STEP_PHASE_STARTED" }));
  assert.deepEqual([noStep.status, noStep.code], [status.INVALID_ARGUMENT, "usage"]);
  const early = await failureOf(client.call("Finish", { logLength: 5, logSha256: sha256("x") }));
  assert.deepEqual([early.status, early.code], [status.FAILED_PRECONDITION, "conflict"]);
  assert.match(String(early.remedy), /Append from offset 0/);
  const large = await failureOf(client.call("AppendLog", { data: Buffer.alloc(1024 * 1024 + 1) }));
  assert.deepEqual([large.status, large.code], [status.RESOURCE_EXHAUSTED, "limit_exceeded"]);
  const huge = await failureOf(client.call("AppendLog", { data: Buffer.alloc(3 * 1024 * 1024) }));
  assert.equal(huge.status, status.RESOURCE_EXHAUSTED);
  await endAttempt(store, booted, "settle_succeeded");
  assert.deepEqual(await failureOf(client.call("AppendLog", {})), refused, "the attempt has ended");
});

test("grpc-js: a method that does not exist, and a service that is not here", async (t) => {
  const { server, booted } = await setUp(t);
  const client = openClient(t, "JobService", { url: server.url, token: booted.sessionToken });
  const { status: code, remedy } = await failureOf(client.call("List", {}));
  assert.equal(code, status.UNIMPLEMENTED);
  assert.match(decodeURIComponent(String(remedy)), /version/);
});

test("grpc-js: the user API with its token, and its streams", async (t) => {
  const store = await openTestStore(t);
  const server = await startTestUserServer(t, { store, token: () => "right" });
  const client = openClient(t, "JobService", { url: server.url, token: "right" });
  const stranger = openClient(t, "JobService", { url: server.url, token: "wrong" });
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  const log = { ...booted, stream: "output" as const, limitBytes: 1e9 };
  const data = Buffer.alloc(300_000, "x");
  await appendLog(store, { ...log, offset: 0, data });

  const { jobs } = await client.call("List", { limit: 5 });
  assert.deepEqual(
    (jobs as { id: string }[]).map(({ id }) => id),
    [booted.jobId],
  );
  const stream = client.stream("Logs", { jobId: booted.jobId, follow: true });
  let length = 0;
  for await (const message of stream) {
    length += (message as { data: Buffer }).data.length;
    if (length === data.length) {
      await appendLog(store, { ...log, offset: data.length, data: Buffer.from("more") });
      await endAttempt(store, booted, "settle_succeeded");
    }
  }
  assert.equal(length, data.length + 4, "the bytes that arrived while following, then the end");

  const missing = await failureOf(client.call("Get", { jobId: "nothing" }));
  assert.deepEqual([missing.status, missing.code], [status.NOT_FOUND, "not_found"]);
  const refused = await failureOf(stranger.call("List", {}));
  assert.deepEqual([refused.status, refused.code], [status.UNAUTHENTICATED, "unauthenticated"]);
  assert.match(String(refused.remedy), /API_TOKEN/);
  const refusedStream = await endOfStream(stranger.stream("Logs", { jobId: booted.jobId }).resume());
  assert.equal(grpcErrorParts(refusedStream).code, "unauthenticated");
});

test("a token of one port is refused at the other", async (t) => {
  const { store, server, booted, start } = await setUp(t);
  await start();
  const users = await startTestUserServer(t, { store, token: () => "operator" });
  const asRunner = openClient(t, "RunnerService", { url: server.url, token: "operator" });
  const asUser = openClient(t, "JobService", { url: users.url, token: booted.sessionToken });
  assert.equal((await failureOf(asRunner.call("AppendLog", {}))).code, "guest_refused");
  assert.equal((await failureOf(asUser.call("List", {}))).code, "unauthenticated");
});

/** A frame of gRPC and gRPC-Web: flag, length, bytes. */
function frame(flag: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Splits a gRPC-Web answer into its message and its trailers. */
function readFrames(answer: Buffer): { message: Buffer | null; trailers: Record<string, string> } {
  let message: Buffer | null = null;
  let trailers = {};
  for (let at = 0; at < answer.length; ) {
    const end = at + 5 + answer.readUInt32BE(at + 1);
    const body = answer.subarray(at + 5, end);
    if (answer[at] === 0) message = body;
    else
      trailers = Object.fromEntries(
        body
          .toString()
          .trim()
          .split("\r\n")
          .map((line) => line.split(/: ?/)),
      );
    at = end;
  }
  return { message, trailers };
}

test("gRPC-Web: hand-made frames, over HTTP/1.1", async (t) => {
  const { server, booted } = await setUp(t);
  const post = async (method: string, body: Buffer, token: string | null = booted.sessionToken) => {
    const response = await fetch(`${server.url}/solstice.v1.RunnerService/${method}`, {
      method: "POST",
      headers: {
        "content-type": "application/grpc-web+proto",
        ...(token !== null && { authorization: `Bearer ${token}` }),
      },
      body: new Uint8Array(body),
    });
    assert.equal(response.status, 200);
    const fromHeaders = Object.fromEntries(response.headers);
    const { message, trailers } = readFrames(Buffer.from(await response.arrayBuffer()));
    return { message, trailers: { ...fromHeaders, ...trailers } as Record<string, string> };
  };
  const start = toBinary(StartRequestSchema, {
    $typeName: "solstice.v1.StartRequest",
    sessionToken: booted.sessionToken,
    runnerVersion: "",
  });
  const started = await post("Start", frame(0, start), booted.bootstrapToken);
  assert.equal(started.trailers["grpc-status"], "0");
  const { plan } = fromBinary(StartResponseSchema, started.message ?? Buffer.alloc(0));
  assert.equal(Buffer.from(plan).toString(), `JOB_ID=${booted.jobId}\n`);
  const append = toBinary(AppendLogRequestSchema, {
    $typeName: "solstice.v1.AppendLogRequest",
    offset: 0n,
    data: Buffer.from("abc"),
  });
  const appended = await post("AppendLog", frame(0, append));
  assert.equal(fromBinary(AppendLogResponseSchema, appended.message ?? Buffer.alloc(0)).received, 3n);
  const refused = await post("AppendLog", frame(0, append), null);
  assert.deepEqual(
    [refused.trailers["grpc-status"], refused.trailers["solstice-error-code"]],
    ["16", "guest_refused"],
  );
  for (const broken of [Buffer.from("x"), frame(0, append).subarray(0, 7), frame(0, Buffer.alloc(9, 0xff))]) {
    const { trailers } = await post("AppendLog", broken);
    assert.notEqual(trailers["grpc-status"], "0", broken.toString("hex"));
  }
  const unknown = await post("Restart", frame(0, append));
  assert.equal(unknown.trailers["grpc-status"], "12");
});

test("Connect: protobuf by plain fetch, and an unsupported content type", async (t) => {
  const { server, booted, start } = await setUp(t);
  await start();
  const post = (contentType: string, body: Uint8Array) =>
    fetch(`${server.url}/solstice.v1.RunnerService/AppendLog`, {
      method: "POST",
      headers: { "content-type": contentType, authorization: `Bearer ${booted.sessionToken}` },
      body: new Uint8Array(body),
    });
  const append = toBinary(AppendLogRequestSchema, {
    $typeName: "solstice.v1.AppendLogRequest",
    offset: 0n,
    data: Buffer.from("abc"),
  });
  const answer = await post("application/proto", append);
  assert.equal(answer.headers.get("content-type"), "application/proto");
  const bytes = new Uint8Array(await answer.arrayBuffer());
  assert.equal(fromBinary(AppendLogResponseSchema, bytes).received, 3n);
  for (const contentType of [
    "text/plain",
    "application/grpc-web-text",
    "application/x-www-form-urlencoded",
  ]) {
    const refused = await post(contentType, append);
    assert.equal(refused.status, 415, contentType);
    assert.equal(refused.headers.get("solstice-error-code"), "usage");
    assert.match(decodeURIComponent(refused.headers.get("solstice-remedy") ?? ""), /application\/json/);
  }
});
