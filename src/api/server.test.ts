import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SolsticeError } from "../core/errors.ts";
import { JobService } from "../gen/solstice/v1/jobs_pb.ts";
import { appendLog } from "../store/logs/logs.ts";
import { type ApiServer, closeGraceMs } from "./server.ts";
import {
  bootJob,
  insertTestJob,
  MemoryLog,
  openTestStore,
  postJson,
  startTestRunnerServer,
  startTestUserServer,
} from "./testing/fixture.ts";

const capacityPath = "/solstice.v1.JobService/Capacity";

async function openSocket(t: TestContext, server: ApiServer): Promise<Socket> {
  const socket = connect(server.port, "127.0.0.1").on("error", () => {});
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Sends bytes on a new connection and returns all bytes received until it closes. */
async function rawExchange(t: TestContext, server: ApiServer, bytes: string): Promise<string> {
  const socket = await openSocket(t, server);
  let answer = "";
  socket.setEncoding("utf8").on("data", (text) => {
    answer += text;
  });
  socket.write(bytes);
  await once(socket, "close");
  return answer;
}

test("a token is required when one is configured", async (t) => {
  const server = await startTestUserServer(t, { store: await openTestStore(t), token: () => "right" });
  const call = (token?: string) => postJson(server.url + capacityPath, { body: {}, token });
  assert.equal((await call("right")).status, 200);
  for (const token of [undefined, "wrong", "righ", "right1"]) {
    const { status, body, headers } = await call(token);
    assert.deepEqual([status, body.code], [401, "unauthenticated"]);
    assert.equal(headers.get("solstice-error-code"), "unauthenticated");
    assert.match(headers.get("solstice-remedy") ?? "", /API_TOKEN/);
  }
  const client = createClient(JobService, createGrpcTransport({ baseUrl: server.url }));
  await assert.rejects(client.capacity({}), { code: Code.Unauthenticated });
  await assert.rejects(
    async () => {
      for await (const _ of client.watch({ jobId: "abcd" }));
    },
    { code: Code.Unauthenticated },
  );
});

test("close does not wait for a gRPC client that was refused", { timeout: 10_000 }, async (t) => {
  const store = await openTestStore(t);
  const server = await startTestUserServer(t, { store, token: () => "right", closeGraceMs });
  const client = createClient(JobService, createGrpcTransport({ baseUrl: server.url }));
  await assert.rejects(client.capacity({}), { code: Code.Unauthenticated });
  const began = performance.now();
  await server.close();
  assert.ok(performance.now() - began < closeGraceMs * 0.9);
});

test("without a token, only callers that name a local host are served", async (t) => {
  const server = await startTestUserServer(t, { store: await openTestStore(t) });
  const statusFor = async (host: string) => {
    const length = 2;
    const head = `POST ${capacityPath} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n{}`;
    return (await rawExchange(t, server, head)).slice(9, 12);
  };
  for (const host of ["localhost", `127.0.0.1:${server.port}`, "[::1]:80", "127.1.2.3"]) {
    assert.equal(await statusFor(host), "200", host);
  }
  for (const host of ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "10.0.0.1", "a b", ""]) {
    assert.notEqual(await statusFor(host), "200", host);
  }
});

test("a malformed Host header is refused, and does not end the process", async (t) => {
  const server = await startTestRunnerServer(t, { store: await openTestStore(t) });
  for (const host of ["Host: a b^\r\n", "Host: [\r\n", ""]) {
    const answer = await rawExchange(
      t,
      server,
      `POST /solstice.v1.RunnerService/Start HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
    );
    assert.match(answer, /^HTTP\/1.1 400 /, host);
  }
});

test("a request that names two hosts is refused, for every path", async (t) => {
  const store = await openTestStore(t);
  const servers = [await startTestRunnerServer(t, { store }), await startTestUserServer(t, { store })];
  for (const server of servers) {
    const own = `Host: 127.0.0.1:${server.port}\r\n`;
    const statusOf = async (hosts: string) => {
      const request = `GET /healthz HTTP/1.1\r\n${hosts}Connection: close\r\n\r\n`;
      return (await rawExchange(t, server, request)).slice(9, 12);
    };
    const usual = await statusOf(own);
    assert.notEqual(usual, "400");
    for (const hosts of [
      own + own,
      `${own}Host: evil.test\r\n`,
      `Host: evil.test\r\nhOST: a\r\n`,
      "Host:\r\n",
      "Host: a/b\r\n",
      "Host: a@b\r\n",
    ])
      assert.equal(await statusOf(hosts), "400", hosts);
    assert.equal(await statusOf("Host: [::1]:80\r\n"), usual);
  }
});

test("pages of other sites may not call", async (t) => {
  const server = await startTestUserServer(t, { store: await openTestStore(t) });
  const from = async (headers: Record<string, string>) =>
    (await postJson(server.url + capacityPath, { body: {}, headers })).status;
  assert.equal(await from({ "sec-fetch-site": "cross-site" }), 401);
  assert.equal(await from({ "sec-fetch-site": "same-site" }), 401);
  assert.equal(await from({ "sec-fetch-site": "anything new" }), 401);
  assert.equal(await from({ "sec-fetch-site": "same-origin" }), 200);
  assert.equal(await from({ "sec-fetch-site": "none" }), 200);
  // A browser that does not send Sec-Fetch-Site: an old browser, or an address that the browser does not
  // trust.
  for (const origin of [
    "https://evil.test",
    "null",
    "http://127.0.0.1:1",
    "file://",
    "http://localhost",
    "x",
  ])
    assert.equal(await from({ origin }), 401, origin);
  assert.equal(await from({ origin: server.url }), 200);
  assert.equal(await from({ origin: server.url.replace("http", "https") }), 200, "behind a proxy with TLS");
  const withToken = await startTestUserServer(t, { store: await openTestStore(t), token: () => "right" });
  const call = { body: {}, token: "right", headers: { origin: "https://evil.test" } };
  assert.equal((await postJson(withToken.url + capacityPath, call)).status, 401);
  assert.equal(await from({ "content-type": "text/plain" }), 415, "a form cannot send JSON");
  assert.equal((await fetch(server.url + capacityPath)).status, 405);
});

test("health, readiness and metrics", async (t) => {
  const checks = [{ name: "libvirt", ok: true, message: "" }];
  const store = await openTestStore(t);
  const server = await startTestUserServer(t, { store, token: () => "right", readiness: async () => checks });
  const get = (path: string, token?: string) =>
    fetch(server.url + path, token ? { headers: { authorization: `Bearer ${token}` } } : {});
  assert.equal((await get("/healthz")).status, 200);
  assert.equal((await get("/readyz")).status, 200);
  checks.push({ name: "images", ok: false, message: "debian-12 is being prepared" });
  const anonymous = await get("/readyz");
  assert.deepEqual([anonymous.status, await anonymous.json()], [503, { ready: false }]);
  assert.deepEqual(await (await get("/readyz", "right")).json(), { ready: false, checks });
  assert.equal((await get("/metrics")).status, 401);
  assert.match(await (await get("/metrics", "right")).text(), /process_resident_memory_bytes \d/);
  assert.equal((await get("/nothing")).status, 404);
  assert.equal((await fetch(`${server.url}/healthz`, { method: "POST" })).status, 405);
});

test("a readiness check that throws is a 500, with the cause in the log", async (t) => {
  const log = new MemoryLog();
  const readiness = async () => {
    throw new Error("boom");
  };
  const server = await startTestUserServer(t, { store: await openTestStore(t), log, readiness });
  assert.equal((await fetch(`${server.url}/readyz`)).status, 500);
  assert.equal(log.lines.at(-1)?.level, "error");
});

test("a port in use and a foreign address are errors with a remedy", async (t) => {
  const store = await openTestStore(t);
  const server = await startTestUserServer(t, { store });
  const listenOn = (host: string, port: number) => startTestUserServer(t, { store, listen: { host, port } });
  await assert.rejects(listenOn("127.0.0.1", server.port), (error: SolsticeError) => {
    assert.ok(error instanceof SolsticeError);
    assert.equal(error.code, "locked");
    assert.match(error.remedy ?? "", new RegExp(`ss -ltnp.*${server.port}.*--api-listen`));
    return true;
  });
  await assert.rejects(listenOn("192.0.2.1", 0), { code: "config_invalid" });
});

test("close ends at once: idle, half-open and streaming connections", { timeout: 10_000 }, async (t) => {
  const store = await openTestStore(t);
  const server = await startTestUserServer(t, { store, closeGraceMs });
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  await fetch(`${server.url}/healthz`); // Leaves an idle keep-alive connection in the pool of fetch.
  const silent = await openSocket(t, server);
  const client = createClient(JobService, createGrpcTransport({ baseUrl: server.url }));
  const pieces = client.logs({ jobId: booted.jobId, follow: true })[Symbol.asyncIterator]();
  await pieces.next();
  const following = pieces.next();
  const idleHttp2 = connectHttp2(server.url);
  t.after(() => idleHttp2.destroy());
  await once(idleHttp2, "remoteSettings");

  const began = performance.now();
  const [closed] = await Promise.allSettled([
    server.close(),
    assert.rejects(following, { code: Code.Unavailable }),
  ]);
  assert.equal(closed.status, "fulfilled");
  assert.ok(performance.now() - began < closeGraceMs * 0.9, "close waited for the end of the grace time");
  assert.ok(silent.destroyed || (await once(silent, "close")));
  await assert.rejects(fetch(`${server.url}/healthz`));
});

test("connections with slow headers or slow bodies are closed, over both protocols", {
  timeout: 10_000,
}, async (t) => {
  const limits = { headersTimeoutMs: 200, bodyTimeoutMs: 400, stallTimeoutMs: 400 };
  const server = await startTestUserServer(t, { store: await openTestStore(t), limits });
  assert.equal(await rawExchange(t, server, ""), "");
  assert.equal(await rawExchange(t, server, "PRI * HT"), "");
  assert.match(await rawExchange(t, server, "GET /healthz HTTP/1.1\r\nHost: loc"), /^(HTTP\/1.1 408|$)/);
  const half = `POST ${capacityPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`;
  assert.doesNotMatch(await rawExchange(t, server, half), /HTTP\/1.1 200/);
  const session = connectHttp2(server.url).on("error", () => {});
  t.after(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": capacityPath,
    "content-type": "application/grpc",
  });
  stream.on("error", () => {}).write("x");
  await once(stream, "close");
});

test("connections beyond the limit are refused, and the others stay open", async (t) => {
  const limits = { maxConnections: 3 };
  const server = await startTestUserServer(t, { store: await openTestStore(t), limits });
  const first = await Promise.all([openSocket(t, server), openSocket(t, server), openSocket(t, server)]);
  const fourth = await openSocket(t, server);
  await once(fourth, "close");
  assert.ok(first.every((socket) => !socket.destroyed));
});

test("a follower that does not read uses little memory, and is disconnected", {
  timeout: 60_000,
}, async (t) => {
  const store = await openTestStore(t);
  const limits = { stallTimeoutMs: 700, maxInFlight: 1 };
  const server = await startTestUserServer(t, { store, limits });
  const { jobId, attempt } = await bootJob(store, (await insertTestJob(store)).id);
  const piece = Buffer.alloc(4 * 1024 * 1024, "x");
  for (let offset = 0; offset < 100 * 1024 * 1024; offset += piece.length) {
    await appendLog(store, { jobId, attempt, stream: "output", offset, data: piece, limitBytes: 1024 ** 3 });
  }
  globalThis.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  const body = Buffer.from(JSON.stringify({ jobId, follow: true }));
  const envelope = Buffer.concat([Buffer.from([0]), Buffer.alloc(4), body]);
  envelope.writeUInt32BE(body.length, 1);
  const sent = httpRequest(`${server.url}/solstice.v1.JobService/Logs`, {
    method: "POST",
    headers: { "content-type": "application/connect+json", "content-length": envelope.length },
  });
  sent.end(envelope);
  const [response] = await once(sent, "response");
  response.pause();
  let peak = before;
  // The follower has the only slot; when it is disconnected, other callers are served again.
  while ((await fetch(`${server.url}/healthz`)).status === 429) {
    peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  }
  response.resume();
  await assert.rejects(once(response, "end"), "the follower receives an error for the interrupted answer");
  t.diagnostic(`grew by ${Math.round((peak - before) / 1024 / 1024)} MiB`);
  assert.ok(peak - before < 40 * 1024 * 1024, `grew by ${peak - before} bytes`);
});
