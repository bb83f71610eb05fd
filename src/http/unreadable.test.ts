/**
 * Requests that are not messages: each protocol reports them as the caller's mistake, and our log stays
 * empty.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bootJob,
  insertTestJob,
  MemoryLog,
  openTestStore,
  startTestRunnerServer,
  startTestUserServer,
} from "../api/testing/fixture.ts";

function frame(content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

const deep = "[".repeat(50_000);

/** Each body is wrong for every method called here: their first field is a text or bytes. */
const protobuf: Readonly<Record<string, Buffer>> = {
  garbage: Buffer.alloc(100, 0xff),
  truncated: Buffer.from([0x0a, 50, 1]),
  "a field number of 0": Buffer.from([0x00, 1]),
  "text that is no UTF-8": Buffer.from([0x0a, 2, 0xff, 0xfe]),
  "100 000 groups": Buffer.alloc(100_000, 0x1b),
};

const json: Readonly<Record<string, Buffer>> = {
  garbage: Buffer.alloc(100, 0xff),
  truncated: Buffer.from('{"job'),
  nothing: Buffer.alloc(0),
  "a list": Buffer.from("[]"),
  "a field of another type": Buffer.from('{"jobId":5}'),
  "50 000 levels": Buffer.from(`{"jobId":${deep}${"]".repeat(deep.length)}}`),
  "50 000 levels, truncated": Buffer.from(`{"jobId":${deep}`),
};

interface Reported {
  readonly isInvalidArgument: boolean;
  readonly text: string;
}

/** The error in a response: in the body, a frame, or the headers, depending on the protocol. */
async function report(response: Response): Promise<Reported> {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  const text = decodeURIComponent([...headers, await response.text()].join("\n"));
  return { isInvalidArgument: /"code":"invalid_argument"|grpc-status: 3\b/.test(text), text };
}

const calls: readonly (readonly [type: string, method: string, bodies: typeof json])[] = [
  ["application/proto", "JobService/Get", protobuf],
  ["application/json", "JobService/Get", json],
  ["application/grpc+proto", "JobService/Get", protobuf],
  ["application/grpc-web+proto", "JobService/Get", protobuf],
  ["application/grpc-web+json", "JobService/Get", json],
  ["application/connect+proto", "JobService/Watch", protobuf],
  ["application/connect+json", "JobService/Watch", json],
  ["application/grpc-web+proto", "JobService/Watch", protobuf],
];

test("a request that is not a message is the caller's mistake, in every protocol", async (t) => {
  const store = await openTestStore(t);
  const log = new MemoryLog();
  const server = await startTestUserServer(t, { store, log });
  for (const [type, method, bodies] of calls) {
    for (const [what, content] of Object.entries(bodies)) {
      const body = /grpc|connect/.test(type) ? frame(content) : content;
      const reported = await report(
        await fetch(`${server.url}/solstice.v1.${method}`, {
          ...{ method: "POST", headers: { "content-type": type }, body: new Uint8Array(body) },
        }),
      );
      assert.ok(reported.isInvalidArgument, `${type}, ${what}: ${reported.text}`);
      assert.match(reported.text, /The request cannot be read: /, `${type}, ${what}`);
      assert.match(reported.text, /solstice-error-code"?: ?\[?"?usage/, `${type}, ${what}`);
      assert.match(reported.text, /solstice-remedy.*proto\/solstice\/v1/s, `${type}, ${what}`);
    }
  }
  assert.deepEqual(log.lines, []);
});

test("a runner that sends an invalid message receives 400, and its job continues", async (t) => {
  const store = await openTestStore(t);
  const log = new MemoryLog();
  const server = await startTestRunnerServer(t, { store, log });
  const { sessionToken, bootstrapToken } = await bootJob(store, (await insertTestJob(store)).id);
  const call = (method: string, type: string, body: Buffer, token = sessionToken) =>
    fetch(`${server.url}/solstice.v1.RunnerService/${method}`, {
      method: "POST",
      headers: { "content-type": type, authorization: `Bearer ${token}` },
      body: new Uint8Array(body),
    });
  const start = Buffer.from(JSON.stringify({ sessionToken }));
  assert.equal((await call("Start", "application/json", start, bootstrapToken)).status, 200);
  const unreadable = [
    ["application/proto", protobuf.garbage],
    ["application/proto", protobuf.truncated],
    ["application/json", Buffer.from('{"data":"***"}')],
    ["application/json", Buffer.from(`{"data":${deep}`)],
  ] as const;
  for (const [type, body] of unreadable) {
    const response = await call("AppendLog", type, body as Buffer);
    assert.equal(response.status, 400);
    assert.match(((await response.json()) as { message: string }).message, /^The request cannot be read: /);
  }
  assert.equal((await call("AppendLog", "text/plain", start)).status, 415);
  const line = Buffer.from(JSON.stringify({ data: Buffer.from("line\n").toString("base64") }));
  assert.equal((await call("AppendLog", "application/json", line)).status, 200);
  assert.deepEqual(
    log.lines.filter(({ level }) => level === "error" || level === "warn"),
    [],
  );
});
