import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { UploadDesk } from "./upload-receiver.ts";

/** A call that the endpoint received; the body as Connect JSON. */
export interface RunnerCall {
  readonly method: string;
  readonly token: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Set for `POST /v1/uploads/ID?offset=N`, whose method is `upload`. */
  readonly upload?: { readonly id: string; readonly offset: number; readonly bytes: Buffer };
}

/** Faults: the endpoint cuts the connection, never answers, or answers with an HTTP status. */
export type Fault = "drop" | "drop-after" | "stall" | number;

/** A reported event of a step. */
export interface StepEvent {
  readonly index: number;
  readonly phase: number;
  readonly exitCode: number;
  readonly logOffset: number;
}

/** A reported end of a job. */
export interface Finish {
  readonly exitCode: number;
  readonly logLength: number;
  readonly logSha256: string;
  readonly failure: string;
  readonly failureDetail: string;
  readonly logLost: boolean;
}

/** Options of {@link RunnerEndpoint}. */
export interface RunnerEndpointOptions {
  readonly plan: string;
  readonly bootstrapToken: string;
  readonly heartbeatSeconds?: number;
  /** Hold in the answer to Finish; default 0. */
  readonly holdSeconds?: number;
}

const maxBodyBytes = 5 * 1024 * 1024;
const maxDataBytes = 1024 * 1024;
const untilDeadlineMs = 60_000;
const holdAnswerMs = 1000;

/**
 * An orchestrator's runner endpoint in memory, with faults on request. It obeys the contract of `runner.proto`:
 * repeated bytes are ignored, bytes after a gap are not accepted, and `Finish` requires the whole output.
 */
export class RunnerEndpoint {
  readonly calls: RunnerCall[] = [];
  readonly events: StepEvent[] = [];
  readonly uploads = new UploadDesk();
  finish: Finish | null = null;
  /** When true, every answer requests a stop. */
  stop = false;
  /** When true, every answer requests a stop at once, also of the steps with `always`. */
  stopNow = false;
  /** Order for a shell in a guest on hold; {@link changeOrder} sets it. */
  order = "";
  /** Called before every call; the result is the fault of that call. */
  fault: (call: RunnerCall) => Fault | null = () => null;
  sessionToken = "";
  readonly #options: RunnerEndpointOptions;
  readonly #chunks: Buffer[] = [];
  #received = 0;
  #server: Server | null = null;
  #port = 0;
  readonly #watchers = new Set<() => void>();

  constructor(options: RunnerEndpointOptions) {
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Number of output bytes received without a gap. */
  get received(): number {
    return this.#received;
  }

  /** Listens: first on a free port, later on the same port. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Stops listening and cuts every connection; the received data stays. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Orders another shell, or none with an empty order, and answers a waiting call of `Hold`. */
  changeOrder(order: string): void {
    this.order = order;
    this.#changed();
  }

  /** Ends the hold. */
  release(): void {
    this.stop = true;
    this.#changed();
  }

  /** Drops the output from `length` on, like a server whose disk lost the last write. */
  forgetFrom(length: number): void {
    const kept = Buffer.concat(this.#chunks).subarray(0, length);
    this.#chunks.splice(0, this.#chunks.length, kept);
    this.#received = kept.length;
  }

  /** The output as text, so far. */
  text(): string {
    return this.bytes().toString("utf8");
  }

  /** The output, so far. */
  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Waits until `condition` is true; it is evaluated after every call. Fails after a minute, with the received output. */
  async until(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(watch);
        reject(new Error(`Timed out waiting for ${what}. Output so far:\n${this.text().slice(-2000)}`));
      }, untilDeadlineMs);
      const watch = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#watchers.delete(watch);
        resolve();
      };
      this.#watchers.add(watch);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await readCall(request).catch(() => null);
    if (!call) return void request.socket.destroy();
    this.calls.push(call);
    const fault = this.fault(call);
    if (fault === "drop") return void request.socket.destroy();
    if (fault === "stall") return this.#changed();
    if (typeof fault === "number") return answer(response, fault, { code: "unavailable", message: "fault" });
    if (call.method === "Hold" && call.token === this.sessionToken)
      await this.#news(String(call.body.shell ?? ""));
    const [status, body] = this.#handle(call);
    if (fault === "drop-after") request.socket.destroy();
    else answer(response, status, body);
    this.#changed();
  }

  /** Waits until there is a change that the runner has not seen, or for a moment. */
  async #news(seen: string): Promise<void> {
    if (this.stop || this.order !== seen) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
        resolve();
      };
      const timer = setTimeout(done, holdAnswerMs);
      const watch = () => {
        if (this.stop || this.order !== seen) done();
      };
      this.#watchers.add(watch);
    });
  }

  #changed(): void {
    for (const watch of [...this.#watchers]) watch();
  }

  #handle(call: RunnerCall): [status: number, body: object] {
    if (call.method === "Start") return this.#start(call);
    if (call.token === "" || call.token !== this.sessionToken) return refusal(401, "unauthenticated");
    const stop = {
      ...((this.stop || this.stopNow) && { stop: true }),
      ...(this.stopNow && { stopNow: true }),
    };
    if (call.method === "AppendLog") return this.#append(call, stop);
    if (call.method === "ReportStep") {
      this.events.push(stepEvent(call.body));
      return [200, stop];
    }
    if (call.method === "BeginUpload") return this.uploads.begin(call.body);
    if (call.method === "AppendUpload") {
      const bytes = Buffer.from(String(call.body.data ?? ""), "base64");
      return this.uploads.append(String(call.body.uploadId), Number(call.body.offset ?? 0), bytes);
    }
    if (call.method === "FinishUpload") return this.uploads.finish(call.body);
    if (call.upload) return this.uploads.append(call.upload.id, call.upload.offset, call.upload.bytes);
    if (call.method === "Hold") return [200, this.order === "" ? stop : { shell: this.order, ...stop }];
    return call.method === "Finish" ? this.#finish(call) : refusal(404, "unimplemented");
  }

  #start({ token, body }: RunnerCall): [number, object] {
    const chosen = String(body.sessionToken);
    if (token !== this.#options.bootstrapToken) return refusal(401, "unauthenticated");
    if (chosen.length < 32) return refusal(400, "invalid_argument");
    if (this.sessionToken !== "" && this.sessionToken !== chosen) return refusal(401, "unauthenticated");
    this.sessionToken = chosen;
    const plan = Buffer.from(this.#options.plan).toString("base64");
    return [200, { plan, heartbeatSeconds: this.#options.heartbeatSeconds ?? 2 }];
  }

  #append({ body }: RunnerCall, stop: object): [number, object] {
    const offset = Number(body.offset ?? 0);
    const data = Buffer.from(String(body.data ?? ""), "base64");
    if (data.length > maxDataBytes) return refusal(429, "resource_exhausted");
    if (offset <= this.#received && offset + data.length > this.#received) {
      const fresh = data.subarray(this.#received - offset);
      this.#chunks.push(fresh);
      this.#received += fresh.length;
    }
    // Connect JSON omits a zero.
    return [200, this.#received === 0 ? stop : { received: String(this.#received), ...stop }];
  }

  #finish({ body }: RunnerCall): [number, object] {
    const logLength = Number(body.logLength ?? 0);
    if (this.#received < logLength && body.logLost !== true) return refusal(400, "failed_precondition");
    this.finish ??= {
      exitCode: Number(body.exitCode ?? 0),
      logLength,
      logSha256: String(body.logSha256),
      failure: String(body.failure ?? ""),
      failureDetail: Buffer.from(String(body.failureDetail ?? ""), "base64").toString(),
      logLost: body.logLost === true,
    };
    const { holdSeconds = 0 } = this.#options;
    return [200, holdSeconds === 0 ? {} : { holdSeconds }];
  }
}

function stepEvent(body: RunnerCall["body"]): StepEvent {
  return {
    index: Number(body.index ?? 0),
    phase: Number(body.phase),
    exitCode: Number(body.exitCode ?? 0),
    logOffset: Number(body.logOffset ?? 0),
  };
}

async function readCall(request: IncomingMessage): Promise<RunnerCall> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBodyBytes) throw new Error("The request is too long.");
    chunks.push(chunk);
  }
  const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const upload = /^\/v1\/uploads\/([0-9a-f]{32})\?offset=(\d+)$/.exec(request.url ?? "");
  if (upload) {
    const bytes = Buffer.concat(chunks);
    const [, id = "", offset] = upload;
    return { method: "upload", token, body: {}, upload: { id, offset: Number(offset), bytes } };
  }
  if (request.headers["content-type"] !== "application/json")
    throw new Error("The request is not Connect JSON.");
  return {
    method: (request.url ?? "").replace("/solstice.v1.RunnerService/", ""),
    token,
    body: JSON.parse(Buffer.concat(chunks).toString("utf8")),
  };
}

function refusal(status: number, code: string): [number, object] {
  return [status, { code, message: `refused: ${code}` }];
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
