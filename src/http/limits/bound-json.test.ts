import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { boundJson } from "./bound-json.ts";

const bounds = { depth: 4, marks: 100 };
const maxBytes = 1000;
const deep = Buffer.from("[".repeat(20));
const flat = Buffer.from('{"data":"[[[[[[[["}');

function frame(message: Buffer, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

async function through(headers: Record<string, string>, body: Buffer, pieceBytes = 7): Promise<Buffer> {
  async function* pieces() {
    for (let at = 0; at < body.length; at += pieceBytes) yield body.subarray(at, at + pieceBytes);
  }
  const call = { headers: new Headers(headers), body: pieces(), bounds, maxBytes };
  const chunks: Uint8Array[] = [];
  for await (const chunk of boundJson(call)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const whole = { "content-type": "application/json" };
const beyond = /more than 4 nested lists and maps/;

test("a message in JSON is checked, compressed or not, and passes unchanged", async () => {
  for (const [headers, make] of [
    [whole, (message: Buffer) => message],
    [{ ...whole, "content-type": "application/json; charset=utf-8" }, (message: Buffer) => message],
    [{ ...whole, "content-encoding": "gzip" }, (message: Buffer) => gzipSync(message)],
    [{ "content-type": "application/connect+json" }, (message: Buffer) => frame(message)],
    [{ "content-type": "application/grpc+json" }, (message: Buffer) => frame(message)],
    [
      { "content-type": "application/grpc-web+json", "grpc-encoding": "gzip" },
      (message: Buffer) => frame(gzipSync(message), 1),
    ],
    [
      { "content-type": "application/connect+json", "connect-content-encoding": "gzip" },
      (message: Buffer) => Buffer.concat([frame(flat), frame(gzipSync(message), 1)]),
    ],
  ] as const) {
    const passed = make(flat);
    for (const pieceBytes of [1, 5, 1000])
      assert.deepEqual(await through(headers, passed, pieceBytes), passed, JSON.stringify(headers));
    await assert.rejects(through(headers, make(deep)), beyond, JSON.stringify(headers));
  }
});

test("other content passes, and a message that is too long is passed on to the library, which refuses it", async () => {
  const proto = { "content-type": "application/proto" };
  assert.deepEqual(await through(proto, deep), deep);
  const long = Buffer.alloc(maxBytes + 100, "x");
  assert.ok((await through(whole, long)).length > maxBytes);
  const framed = await through({ "content-type": "application/grpc+json" }, frame(long));
  assert.equal(framed.readUInt32BE(1), long.length);
  const bomb = gzipSync(Buffer.alloc(1_000_000, "["));
  assert.deepEqual(
    await through({ ...whole, "content-encoding": "gzip" }, bomb.subarray(0, 900)),
    bomb.subarray(0, 900),
  );
  assert.deepEqual(await through({ ...whole, "content-encoding": "gzip" }, deep), deep);
});
