/**
 * Invalid calls: each is refused with an error, does not affect other guests, and the server keeps running.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import {
  openFrom,
  post,
  runHonestJob,
  type ServerProcess,
  startServerProcess,
} from "../api/testing/hostile.ts";

const attacker = "127.0.0.66";
const appendPath = "/solstice.v1.RunnerService/AppendLog";

interface Started {
  readonly server: ServerProcess;
  readonly token: string;
}

async function start(t: TestContext): Promise<Started> {
  const server = await startServerProcess(t, { jobs: 2 });
  const [job] = server.jobs;
  assert.ok(job);
  const first = { port: server.port, token: job.bootstrapToken, from: attacker };
  assert.equal((await post("Start", { sessionToken: job.sessionToken }, first)).status, 200);
  return { server, token: job.sessionToken };
}

/** The bytes received on one connection, until it closes or they match `enough`. */
async function exchange(server: ServerProcess, bytes: string, enough: RegExp): Promise<string> {
  const socket = openFrom(server, attacker);
  let answer = "";
  const done = new Promise<void>((resolve) => {
    socket.on("data", (data) => {
      answer += data;
      if (enough.test(answer)) resolve();
    });
    socket.once("close", () => resolve());
  });
  await once(socket, "connect");
  socket.write(bytes);
  await done;
  socket.destroy();
  return answer;
}

async function otherJobRuns({ server }: Started): Promise<void> {
  const other = server.jobs[1];
  assert.ok(other);
  await runHonestJob(server, other, "127.0.0.9");
}

test("an invalid message is refused with a code", { timeout: 60_000 }, async (t) => {
  const started = await start(t);
  const { server, token } = started;
  const call = { port: server.port, token, from: attacker };
  const json = (body: string | Buffer, headers = {}) => post("AppendLog", body, { ...call, headers });
  const proto = { "content-type": "application/proto" };
  const cases: [
    what: string,
    send: () => Promise<{ status: number; body: object }>,
    status: number,
    code: string,
  ][] = [
    ["broken JSON", () => json('{"data":'), 400, "invalid_argument"],
    ["JSON that is not an object", () => json("[]"), 400, "invalid_argument"],
    ["invalid base64", () => json('{"data":"***"}'), 400, "invalid_argument"],
    ["a negative offset", () => json('{"offset":-1}'), 400, "invalid_argument"],
    ["an offset that is not a number", () => json('{"offset":"1e400"}'), 400, "invalid_argument"],
    ["JSON of 100 000 levels", () => json(`{"data":${"[".repeat(100_000)}`), 400, "invalid_argument"],
    ["bytes that are not protobuf", () => json(Buffer.alloc(100, 0xff), proto), 400, "invalid_argument"],
    ["protobuf of 500 000 groups", () => json(Buffer.alloc(500_000, 0x1b), proto), 400, "invalid_argument"],
    ["invalid gzip", () => json("{}", { "content-encoding": "gzip" }), 400, "invalid_argument"],
    ["brotli", () => json(brotliCompressSync("{}"), { "content-encoding": "br" }), 501, "unimplemented"],
    [
      "a bomb",
      () => json(gzipSync(Buffer.alloc(64 << 20)), { "content-encoding": "gzip" }),
      429,
      "resource_exhausted",
    ],
    ["3 MiB", () => json(Buffer.alloc(3 << 20, " ")), 429, "resource_exhausted"],
    ["no such method", () => post("Restart", {}, call), 404, "unimplemented"],
    [
      "no token",
      () => post("AppendLog", {}, { ...call, headers: { authorization: "" } }),
      401,
      "unauthenticated",
    ],
    [
      "a token of 10 000 characters",
      () => post("AppendLog", {}, { ...call, token: "x".repeat(10_000) }),
      401,
      "unauthenticated",
    ],
  ];
  for (const [what, send, status, code] of cases) {
    const { status: got, body } = await send();
    assert.deepEqual(
      [got, (body as { code?: string }).code],
      [status, code],
      `${what}: ${JSON.stringify(body)}`,
    );
  }
  await otherJobRuns(started);
});

test("ambiguous HTTP, which two parsers may read differently, is refused unread", {
  timeout: 60_000,
}, async (t) => {
  const started = await start(t);
  const { server, token } = started;
  const head = (...lines: string[]) =>
    [
      `POST ${appendPath} HTTP/1.1`,
      "Host: x",
      `Authorization: Bearer ${token}`,
      "Content-Type: application/json",
    ]
      .concat(lines, "", "")
      .join("\r\n");
  const smuggled = `GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`;
  const ambiguous: Record<string, string> = {
    "both lengths": `${head("Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n${smuggled}`,
    "two lengths": `${head("Content-Length: 2", "Content-Length: 30")}{}${smuggled}`,
    "a length with a sign": `${head("Content-Length: +2")}{}${smuggled}`,
    "a coding that is hidden": `${head("Transfer-Encoding: chunked, identity", "Content-Length: 2")}{}${smuggled}`,
    "a folded header": `${head("Content-Length: 2", "X-A: b", " Transfer-Encoding: chunked")}{}${smuggled}`,
    "a space before the colon": `${head("Content-Length : 2")}{}${smuggled}`,
    "a chunk of a negative size": `${head("Transfer-Encoding: chunked")}-1\r\n{}\r\n0\r\n\r\n`,
    "a NUL in a header": `${head("X-A: b\0c", "Content-Length: 2")}{}`,
    "too many bytes of headers": head(
      ...Array.from({ length: 400 }, (_, at) => `X-${at}: ${"y".repeat(100)}`),
    ),
    "not HTTP": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
  };
  for (const [what, bytes] of Object.entries(ambiguous)) {
    const answer = await exchange(server, bytes, /^HTTP\/1\.1 4\d\d [\s\S]*\r\n\r\n/);
    assert.match(answer, /^HTTP\/1\.1 4(00|13|31) /, what);
    assert.doesNotMatch(answer, /smuggled|HTTP\/1\.1 200/, what);
  }
  await otherJobRuns(started);
});
