import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { isExhaustive } from "../../../test/support/sampling.ts";
import { JobService } from "../../gen/solstice/v1/jobs_pb.ts";
import type { BootedJob } from "./fixture.ts";

/** A server in its own process. */
export interface ServerProcess {
  readonly runnerUrl: string;
  readonly userUrl: string;
  readonly port: number;
  readonly jobs: readonly BootedJob[];
  /** Memory of the process, in bytes: the peak (VmHWM) or the current value (VmRSS). */
  memory(which: "VmHWM" | "VmRSS"): Promise<number>;
}

/** Starts the endpoints with some booted jobs; they stop with the test. */
export async function startServerProcess(t: TestContext, options: { jobs: number }): Promise<ServerProcess> {
  const script = new URL("server-process.ts", import.meta.url).pathname;
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", script, "--jobs", String(options.jobs)],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  t.after(async () => {
    const exited = once(child, "exit");
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.stdin.end();
    await exited;
  });
  const ready = JSON.parse((await once(createInterface({ input: child.stdout }), "line"))[0]);
  return {
    ...ready,
    port: Number(new URL(ready.runnerUrl).port),
    async memory(which) {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      return Number(new RegExp(`${which}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
    },
  };
}

/** An answer of {@link post}. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Record<string, unknown>;
}

/** The target of a call, its token, and its source address on this host. */
export interface CallOptions {
  readonly port: number;
  readonly token: string;
  readonly from: string;
  readonly agent?: Agent;
  readonly headers?: Record<string, string>;
}

/** Makes one Connect JSON call from the given source address. */
export function post(method: string, body: object | string | Buffer, options: CallOptions): Promise<Answer> {
  const { port, token, from, agent, headers } = options;
  return new Promise((resolve, reject) => {
    const call = request({
      host: "127.0.0.1",
      port,
      localAddress: from,
      ...(agent && { agent }),
      method: "POST",
      path: `/solstice.v1.RunnerService/${method}`,
      headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
    });
    call.on("error", reject).on("response", async (response) => {
      try {
        const text = Buffer.concat(await response.toArray()).toString();
        const parsed = text.startsWith("{") ? JSON.parse(text) : {};
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
      } catch (error) {
        reject(error);
      }
    });
    call.end(typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body));
  });
}

/** Number of appends of a {@link runHonestJob}; an attack lasts as long as they do. */
const honestAppends = isExhaustive ? 40 : 15;

/**
 * Runs a whole job as a runner that keeps every rule, from its own address. Fails when a call is refused or
 * lost, or when the log is incomplete afterwards: no call is retried.
 */
export async function runHonestJob(server: ServerProcess, job: BootedJob, from: string): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, localAddress: from });
  const call = async (method: string, body: object, token = job.sessionToken) => {
    const { status, body: answer } = await post(method, body, { port: server.port, token, from, agent });
    assert.equal(status, 200, `${method}: ${JSON.stringify(answer)}`);
  };
  await call("Start", { sessionToken: job.sessionToken }, job.bootstrapToken);
  await call("ReportStep", { index: 0, phase: "STEP_PHASE_STARTED" });
  let log = "";
  for (let line = 0; line < honestAppends; line += 1) {
    const data = `line ${line}\n`.repeat(100);
    await call("AppendLog", { offset: log.length, data: Buffer.from(data).toString("base64") });
    log += data;
  }
  await call("ReportStep", { index: 0, phase: "STEP_PHASE_FINISHED", logOffset: log.length });
  const logSha256 = createHash("sha256").update(log).digest("hex");
  await call("Finish", { logLength: log.length, logSha256 });
  agent.destroy();
  const stored = await userClient(server).get({ jobId: job.jobId });
  assert.equal(stored.job?.log?.completeness, "complete");
}

/** The user API of a server, with the operator's token. */
export function userClient(server: ServerProcess) {
  return createClient(
    JobService,
    createConnectTransport({
      baseUrl: server.userUrl,
      httpVersion: "1.1",
      interceptors: [
        (next) => (call) => {
          call.header.set("authorization", "Bearer operator");
          return next(call);
        },
      ],
    }),
  );
}

/** Opens a connection from the given source address; its errors are ignored. */
export function openFrom(server: ServerProcess, from: string): Socket {
  return connect({ port: server.port, host: "127.0.0.1", localAddress: from }).on("error", () => {});
}

/**
 * Writes, and waits while the other side does not read. False when the connection is closed or `signal`
 * aborted.
 */
export async function writeSlowly(
  socket: Socket,
  bytes: string | Buffer,
  signal: AbortSignal,
): Promise<boolean> {
  if (socket.destroyed || signal.aborted) return false;
  if (!socket.write(bytes)) {
    const left = AbortSignal.any([signal, AbortSignal.timeout(drainPatienceMs)]);
    await once(socket, "drain", { signal: left }).catch(() => {});
  }
  return !socket.destroyed && !signal.aborted;
}

const drainPatienceMs = 1000;

/** A frame of HTTP/2 (RFC 9113, section 4.1). */
export function http2Frame(
  type: number,
  options: { flags?: number; stream?: number; payload?: Buffer },
): Buffer {
  const { flags = 0, stream = 0, payload = Buffer.alloc(0) } = options;
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The first bytes of an HTTP/2 connection: the preface, and settings as pairs of number and value. */
export function http2Start(settings: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(settings.length * 6);
  settings.forEach(([id, value], at) => {
    payload.writeUInt16BE(id, at * 6);
    payload.writeUInt32BE(value, at * 6 + 2);
  });
  return Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), http2Frame(4, { payload })]);
}

/** Headers in the simplest form of HPACK: literals that are not added to a table. */
export function http2Headers(headers: Readonly<Record<string, string>>): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  );
}
