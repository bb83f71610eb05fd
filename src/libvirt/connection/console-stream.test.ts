import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { createLibvirtClient } from "../client.ts";
import type { FakeStream, FakeStreamHandlers } from "../testing/fake-server.ts";
import { startFakeServer } from "../testing/fake-server.ts";
import { procedures } from "../wire/procedures.ts";
import type { Domain } from "../wire/types.ts";

const domain: Domain = { name: "guest", uuid: "7c4a8d09-ca37-4c1a-9f3e-0d1b2f6c5a11", id: 1 };

/** Starts a server whose consoles behave as given, and opens one console; returns both ends of it. */
async function openConsole(
  context: TestContext,
  behave: (stream: FakeStream) => Partial<FakeStreamHandlers>,
) {
  const server = await startFakeServer();
  context.after(() => server.remove());
  let opened: FakeStream | undefined;
  const received: Buffer[] = [];
  server.handleStream(procedures.domainOpenConsole, (_args, stream) => {
    opened = stream;
    return {
      onData: (bytes) => void received.push(Buffer.from(bytes)),
      onFinish: () => stream.finish(),
      ...behave(stream),
    };
  });
  const client = await createLibvirtClient({ uri: server.uri });
  context.after(() => client.close());
  const stream = await client.openConsole(domain);
  assert.ok(opened);
  return { server, client, stream, far: opened, received: () => Buffer.concat(received) };
}

test("data that the server sends before its reply is not lost", async (context) => {
  const { stream } = await openConsole(context, (far) => {
    far.send(Buffer.from("early"));
    return {};
  });
  const [data] = await once(stream, "data");
  assert.equal(String(data), "early");
  stream.destroy();
});

test("a large write arrives complete and in order, in packets that every server accepts", async (context) => {
  const sent = Buffer.alloc(1_000_003, "0123456789abcdef");
  let largest = 0;
  const pieces: Buffer[] = [];
  const { stream } = await openConsole(context, () => ({
    onData(bytes) {
      largest = Math.max(largest, bytes.length);
      pieces.push(Buffer.from(bytes));
    },
  }));
  stream.resume();
  stream.end(sent);
  await once(stream, "close");
  assert.ok(Buffer.concat(pieces).equals(sent));
  assert.ok(largest <= 128 * 1024, `${largest}`);
});

test("a reader that does not read slows the server down, and other calls continue", async (context) => {
  const { stream, far, client, server } = await openConsole(context, () => ({}));
  server.handle(procedures.connectLibVersion, () => ({ version: 9_000_000n }));
  const piece = Buffer.alloc(100_000, "x");
  const count = 200;
  for (let index = 0; index < count; index += 1) far.send(piece);
  assert.equal(await client.libVersion(), 9_000_000);
  assert.ok(stream.readableLength < 1_000_000, `${stream.readableLength} bytes are buffered`);
  let length = 0;
  stream.on("data", (bytes: Buffer) => {
    length += bytes.length;
    if (length === count * piece.length) far.send(new Uint8Array(0));
  });
  await once(stream, "close");
  assert.equal(length, count * piece.length);
});

test("the server's end of data ends the stream; its abort destroys the stream with libvirt's error", async (context) => {
  const ended = await openConsole(context, () => ({}));
  ended.stream.resume();
  const over = once(ended.stream, "close");
  ended.far.send(new Uint8Array(0));
  await over;
  assert.equal(ended.stream.readableEnded, true);

  const aborted = await openConsole(context, () => ({}));
  const failure = once(aborted.stream, "error");
  aborted.far.abort(38, "the device was removed");
  const [error] = await failure;
  assert.equal(error.name, "LibvirtError");
  assert.equal(error.code, 38);
  assert.equal(error.procedure, "domain_open_console");
});

test("a daemon that disconnects destroys the stream; destroying the stream closes only its own connection", async (context) => {
  const lost = await openConsole(context, () => ({}));
  const failure = once(lost.stream, "error");
  lost.server.cutConnections();
  assert.equal((await failure)[0].reason, "lost");

  const gone = Promise.withResolvers<void>();
  const { stream, client, server } = await openConsole(context, () => ({ onClose: () => gone.resolve() }));
  stream.destroy();
  await gone.promise;
  server.handle(procedures.connectLibVersion, () => ({ version: 1n }));
  assert.equal(await client.libVersion(), 1);
});
