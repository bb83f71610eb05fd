/** The limits of a listener on connections and calls, with handlers of the test. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { type ConnectionLimits, type HttpListener, listen } from "./listen.ts";
import type { NodeHandler } from "./node-http.ts";

const limits: ConnectionLimits = {
  maxConnections: 100,
  maxConnectionsPerAddress: 3,
  maxStreamsPerConnection: 4,
  maxSessionMemoryMb: 8,
  maxInFlight: 10,
  maxInFlightPerAddress: 2,
  isSharedAddress: (address) => address === "127.0.0.200",
  maxHeaderBytes: 16 * 1024,
  headersTimeoutMs: 30_000,
  bodyTimeoutMs: 30_000,
  stallTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
};

async function start(t: TestContext, handler: NodeHandler): Promise<HttpListener> {
  const listener = await listen({ address: { host: "127.0.0.1", port: 0 }, handler, limits, flag: "--test" });
  t.after(() => listener.close({ graceMs: 0 }));
  return listener;
}

async function open(t: TestContext, { port }: HttpListener, from: string): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", localAddress: from }).on("error", () => {});
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`;

/** The first answer on a connection. */
async function answerTo(socket: Socket, request: string): Promise<string> {
  socket.write(request);
  const [bytes] = await once(socket, "data");
  return String(bytes);
}

test("calls that wait behind another call are dropped with their connection", async (t) => {
  const closed = new EventEmitter();
  const served: string[] = [];
  const listener = await start(t, (request, response) => {
    served.push(request.url ?? "");
    if (request.url === "/slow") request.socket.once("close", () => closed.emit("closed"));
    else response.end("answered");
  });
  for (let round = 0; round < limits.maxInFlightPerAddress; round += 1) {
    const socket = await open(t, listener, "127.0.0.2");
    const ended = once(closed, "closed");
    socket.write(get("/slow") + get("/behind"));
    await answerTo(await open(t, listener, "127.0.0.3"), get("/other"));
    assert.deepEqual(served.splice(0), ["/slow", "/behind", "/other"]);
    socket.destroy();
    await ended;
  }
  assert.match(await answerTo(await open(t, listener, "127.0.0.2"), get("/again")), /answered/);
});

test("a connection with too many unanswered calls is closed", async (t) => {
  let calls = 0;
  const listener = await start(t, () => {
    calls += 1;
  });
  const socket = await open(t, listener, "127.0.0.200");
  socket.resume().write(get("/").repeat(500));
  await once(socket, "close");
  assert.ok(calls <= 4, `${calls} calls were started`);
});

test("an address has limits of connections and calls; a shared address has none", async (t) => {
  const listener = await start(t, (request, response) => {
    if (request.url !== "/held") response.end("answered");
  });
  for (let count = 0; count < 3; count += 1) await open(t, listener, "127.0.0.2");
  await once((await open(t, listener, "127.0.0.2")).resume(), "close");
  for (let count = 0; count < 2; count += 1) (await open(t, listener, "127.0.0.3")).write(get("/held"));
  const refused = await answerTo(await open(t, listener, "127.0.0.3"), get("/"));
  assert.match(refused, /^HTTP\/1.1 429 .*solstice-error-code: limit_exceeded.*solstice-remedy: /is);
  assert.match(await answerTo(await open(t, listener, "127.0.0.4"), get("/")), /answered/);
  const shared = Array.from({ length: 4 }, () => open(t, listener, "127.0.0.200"));
  for (const socket of await Promise.all(shared)) socket.write(get("/held"));
  assert.match(await answerTo(await open(t, listener, "127.0.0.200"), get("/")), /answered/);
});

test("with port 0 the preferred port is used when it is free", async (t) => {
  const listenOn = async (preferredPort?: number) => {
    const address = { host: "127.0.0.1", port: 0, preferredPort };
    const listener = await listen({ address, handler: () => {}, limits, flag: "--test" });
    t.after(() => listener.close({ graceMs: 0 }));
    return listener;
  };
  const first = await listenOn();
  assert.notEqual((await listenOn(first.port)).port, first.port);
  await first.close({ graceMs: 0 });
  assert.equal((await listenOn(first.port)).port, first.port);
});
