import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import {
  bootJob,
  endAttempt,
  insertTestJob,
  openTestStore,
  postJson,
  startTestRunnerServer,
} from "../api/testing/fixture.ts";

test("a caller without a valid token is refused before its body arrives", async (t) => {
  const store = await openTestStore(t);
  const server = await startTestRunnerServer(t, { store });
  const started = await bootJob(store, (await insertTestJob(store)).id);
  const url = `${server.url}/solstice.v1.RunnerService`;
  const start = { body: { sessionToken: started.sessionToken }, token: started.bootstrapToken };
  assert.equal((await postJson(`${url}/Start`, start)).status, 200);
  const ended = await bootJob(store, (await insertTestJob(store)).id);
  await endAttempt(store, ended, "settle_succeeded");

  /** The answer to a call whose body of 1.8 MB never arrives. */
  const answer = async (method: string, token: string | null): Promise<string> => {
    const socket = connect(server.port, "127.0.0.1");
    t.after(() => socket.destroy());
    const lines = [
      `POST /solstice.v1.RunnerService/${method} HTTP/1.1`,
      ...["Host: runner", "Content-Type: application/json", "Content-Length: 1800000"],
      ...(token === null ? [] : [`Authorization: Bearer ${token}`]),
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    const [data] = await once(socket, "data", { signal: AbortSignal.timeout(20_000) });
    return String(data);
  };
  for (const [method, token] of [
    ["AppendLog", null],
    ["AppendLog", "x".repeat(40)],
    ["AppendLog", started.bootstrapToken],
    ["Start", started.sessionToken],
    ["Start", ended.bootstrapToken],
    ["NoSuchMethod", null],
  ] as const)
    assert.match(await answer(method, token), /^HTTP\/1.1 401 .*guest_refused/s, `${method} ${token}`);
});

test("a guest's message is checked against limits before it is parsed, also when compressed", async (t) => {
  const store = await openTestStore(t);
  const server = await startTestRunnerServer(t, { store });
  const { bootstrapToken } = await bootJob(store, (await insertTestJob(store)).id);
  const post = async (body: Buffer, headers: Record<string, string> = {}) => {
    const response = await fetch(`${server.url}/solstice.v1.RunnerService/Start`, {
      method: "POST",
      headers: { authorization: `Bearer ${bootstrapToken}`, "content-type": "application/json", ...headers },
      body: new Uint8Array(body),
    });
    return { status: response.status, text: await response.text() };
  };
  const deep = Buffer.from(`{"sessionToken":${"[".repeat(900_000)}${"]".repeat(900_000)}}`);
  const wide = Buffer.from(`{"sessionToken":[${"0,".repeat(800_000)}0]}`);
  const digits = Buffer.from(`{"sessionToken":"${"9".repeat(1_800_000)}"}`);
  for (const [body, problem] of [
    [deep, /more than 8 nested lists and maps/],
    [wide, /more than 500 values/],
    [digits, /more than 1000 digits/],
  ] as const) {
    for (const answer of [await post(body), await post(gzipSync(body), { "content-encoding": "gzip" })]) {
      assert.equal(answer.status, 400);
      assert.match(answer.text, problem);
    }
  }
});
