import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { runBuiltInRunner } from "./built-in-runner.ts";

interface Call {
  method: string;
  authorization: string | undefined;
  body: Record<string, unknown>;
}

/** The endpoint's answer to a call: a body, or only a status. */
type Answer = (call: Call) => object | number;

describe("the stand-in runner", () => {
  const calls: Call[] = [];
  let answer: Answer = () => ({});
  const server = createServer(async (request, response) => {
    const call = await readCall(request);
    calls.push(call);
    const answered = answer(call);
    if (typeof answered === "number") response.writeHead(answered).end("no");
    else response.end(JSON.stringify(answered));
  });
  let runner: { url: string; bootstrapToken: string };
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    runner = { url: `http://127.0.0.1:${port}/`, bootstrapToken: "bootstrap" };
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  function play(changes: { answer?: Answer; delayMs?: number; signal?: AbortSignal } = {}): Promise<void> {
    calls.length = 0;
    answer = changes.answer ?? (() => ({}));
    const signal = changes.signal ?? new AbortController().signal;
    return runBuiltInRunner({ runner, delayMs: changes.delayMs ?? 0, signal });
  }

  test("starts with the one-time token, continues with its own token, and finishes with its output", async () => {
    await play();
    const [start, log, finish] = calls;
    assert.deepEqual(
      calls.map(({ method }) => method),
      ["Start", "AppendLog", "Finish"],
    );
    assert.equal(start?.authorization, "Bearer bootstrap");
    const token = String(start?.body.sessionToken);
    assert.match(token, /^[0-9a-f]{64}$/);
    assert.equal(log?.authorization, `Bearer ${token}`);
    assert.equal(finish?.authorization, `Bearer ${token}`);
    const output = Buffer.from(String(log?.body.data), "base64");
    assert.deepEqual(finish?.body, {
      exitCode: 0,
      logLength: String(output.length),
      logSha256: createHash("sha256").update(output).digest("hex"),
    });
  });

  test("sends heartbeats at the requested interval, and ends early on a stop", async () => {
    let beats = 0;
    await play({
      delayMs: 600_000,
      answer: ({ method, body }) => {
        if (method === "Start") return { heartbeatSeconds: 0.01 };
        if (method !== "AppendLog" || body.data !== undefined) return {};
        beats += 1;
        return { stop: beats === 3 };
      },
    });
    assert.equal(beats, 3);
    assert.equal(calls.at(-1)?.method, "Finish");
  });

  test("retries a call while the store is unavailable, and ends at once when the call is refused", async () => {
    let failures = 0;
    await play({
      answer: ({ method }) => {
        if (method !== "Start" || failures === 1) return {};
        failures += 1;
        return 503;
      },
    });
    assert.equal(calls.at(-1)?.method, "Finish");
    await assert.rejects(play({ answer: () => 401 }), /Start was answered with 401: no/);
    assert.equal(calls.length, 1);
  });

  test("ends at once when the power is cut", async () => {
    const power = new AbortController();
    const played = play({
      delayMs: 600_000,
      signal: power.signal,
      answer: () => {
        power.abort();
        return {};
      },
    });
    await assert.rejects(played, { name: "AbortError" });
    assert.equal(calls.length, 1);
  });
});

async function readCall(request: IncomingMessage): Promise<Call> {
  let text = "";
  for await (const chunk of request) text += chunk;
  const method = request.url?.replace("/solstice.v1.RunnerService/", "") ?? "";
  return { method, authorization: request.headers.authorization, body: JSON.parse(text) };
}
