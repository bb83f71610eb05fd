import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type HostCapacitySchema,
  type Job,
  JobSchema,
  JobService,
  type LogsRequest,
  type RejectedMessageSchema,
} from "../../gen/solstice/v1/jobs_pb.ts";

/** A job of the fake: the message, and its logs by attempt. A test changes both while a command runs. */
export interface FakeJob {
  message: Job;
  readonly output: Map<number, Buffer>;
  readonly console: Map<number, Buffer>;
  /** The range of bytes that is missing from each output. */
  dropped?: { readonly from: number; readonly to: number };
}

/** An API in memory, behind a real HTTP server on loopback. Its state survives a restart of the server. */
export interface FakeApi {
  readonly jobs: Map<string, FakeJob>;
  /** The JSON of every request submitted. */
  readonly submitted: Record<string, unknown>[];
  readonly logRequests: LogsRequest[];
  /** The calls of `cancel`, in order. */
  readonly cancelled: { jobId: string; now: boolean }[];
  /** The answer of `listRejected`. */
  readonly rejected: MessageInitShape<typeof RejectedMessageSchema>[];
  /** The warnings in each answer of `submit` and `retry`. */
  readonly warnings: string[];
  /** The jobs of the calls of `explain`, in order. */
  readonly explained: string[];
  /** The answer of `explain` for a queued job. Null: the call fails, so that a slow test does not show a reason to wait. */
  explanation: { constraint: string; message: string; estimatedStartMs?: bigint } | null;
  /** The hosts in the answer of `capacity`. */
  hosts: MessageInitShape<typeof HostCapacitySchema>[];
  readonly url: string;
  /** Called for each submitted request; returns the request's job. */
  onSubmit: (request: Record<string, unknown>) => FakeJob;
  /** Appends to a job's output. */
  append(jobId: string, text: string | Buffer): void;
  update(jobId: string, change: MessageInitShape<typeof JobSchema>): void;
  /** Cuts every connection and stops listening. */
  stop(): Promise<void>;
  /** Listens again on the same port. */
  restart(): Promise<void>;
}

const pollMs = 5;
const pieceBytes = 256 * 1024;
const finalStates = ["succeeded", "failed", "timed_out", "cancelled", "infra_error"];

/** Starts a fake API on a free port. With `token` every call must carry it. */
export async function startFakeApi({ token }: { token?: string } = {}): Promise<FakeApi> {
  const jobs = new Map<string, FakeJob>();
  const submitted: Record<string, unknown>[] = [];
  const logRequests: LogsRequest[] = [];
  let server: Server;
  let port = 0;
  const listen = async () => {
    server = createServer((request, response) => {
      if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
        response.writeHead(401, {
          "content-type": "application/json",
          "solstice-error-code": "unauthenticated",
        });
        response.end('{"code":"unauthenticated","message":"This API requires a token."}');
      } else handler(request, response);
    });
    server.listen(port, "127.0.0.1");
    await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
    port = (server.address() as AddressInfo).port;
  };
  const api: FakeApi = {
    jobs,
    submitted,
    logRequests,
    rejected: [],
    cancelled: [],
    hosts: [],
    warnings: [],
    explained: [],
    explanation: null,
    onSubmit: () => addJob(api, "7k3m9x"),
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    append(jobId, text) {
      const { output, message } = mustGet(jobs, jobId);
      const attempt = Math.max(1, message.attempt);
      output.set(attempt, Buffer.concat([output.get(attempt) ?? Buffer.alloc(0), Buffer.from(text)]));
    },
    update(jobId, change) {
      const job = mustGet(jobs, jobId);
      // Without `$typeName` the object is an initializer; `create` would return a message unchanged.
      const { $typeName: _, ...before } = job.message;
      job.message = create(JobSchema, { ...before, ...change } as MessageInitShape<typeof JobSchema>);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    restart: listen,
  };
  const handler = connectNodeAdapter({ routes: (router) => serve(router, api) });
  await listen();
  return api;
}

/** An answer of `explain` for tests. */
export const labelIsFull = {
  constraint: "label_cap",
  message: "2 of 2 jobs of debian-latest run.",
  estimatedStartMs: 1n,
};

/** Puts a queued job into the fake. */
export function addJob(api: FakeApi, id: string, change: MessageInitShape<typeof JobSchema> = {}): FakeJob {
  const job: FakeJob = {
    message: create(JobSchema, {
      id,
      requestId: "4b7cf2a5-5f0e-4f0b-9f52-6b1f0d1f7a11",
      state: "queued",
      stateSinceMs: 1_700_000_000_000n,
      label: "debian-latest",
      image: "debian-12",
      maxAttempts: 2,
      submittedMs: 1_700_000_000_000n,
      timeoutSeconds: 3600,
      ...{ cpu: 2, ramMb: 2048, diskGb: 20 },
      ...change,
    }),
    output: new Map(),
    console: new Map(),
  };
  api.jobs.set(id, job);
  return job;
}

function serve(router: ConnectRouter, api: FakeApi): void {
  router.service(JobService, {
    submit({ jobRequestJson }) {
      const request = JSON.parse(jobRequestJson);
      api.submitted.push(request);
      return { job: api.onSubmit(request).message, existed: false, warnings: [...api.warnings] };
    },
    get: ({ jobId }) => ({ job: mustGet(api.jobs, jobId).message }),
    list: ({ states, limit }) => ({
      jobs: [...api.jobs.values()]
        .map(({ message }) => message)
        .filter(({ state }) => states.length === 0 || states.includes(state))
        .slice(0, limit),
    }),
    async *watch({ jobId }, { signal }) {
      let shown: Job | null = null;
      for (; ; await sleep(pollMs, undefined, { signal })) {
        const { message } = mustGet(api.jobs, jobId);
        if (message !== shown) yield { job: message };
        shown = message;
        if (finalStates.includes(message.state)) return;
      }
    },
    async *logs(request, { signal }) {
      api.logRequests.push(request);
      yield* sendLog(api, request, signal);
    },
    cancel({ jobId, now }) {
      const { id, state } = mustGet(api.jobs, jobId).message;
      api.cancelled.push({ jobId: id, now });
      if (!finalStates.includes(state)) api.update(id, { state: "cancelled", cancelRequested: true });
      return { job: mustGet(api.jobs, id).message };
    },
    retry({ jobId, requestId }) {
      const { id, state } = mustGet(api.jobs, jobId).message;
      if (!finalStates.includes(state)) {
        throw new ConnectError(`Job ${id} has not ended: it is ${state}.`, Code.Aborted, {
          "solstice-error-code": "conflict",
        });
      }
      const existing = [...api.jobs.values()].find(({ message }) => message.requestId === requestId);
      const job = existing ?? addJob(api, `again${id}`, { requestId, retryOf: id });
      return { job: job.message, existed: existing !== undefined, warnings: [...api.warnings] };
    },
    drain: () => ({ hostId: "host-a", drainingSinceMs: 1n, jobs: [...api.jobs.values()].map(drainedJob) }),
    listRejected: () => ({ messages: api.rejected }),
    capacity: () => ({
      ...{ maxConcurrency: 4, running: 1, queued: 2, hosts: api.hosts },
      labels: [
        { label: "debian-latest", image: "debian-12", cap: 2, running: 1, queued: 2, imageState: "ready" },
      ],
    }),
    explain({ jobId }) {
      const { id, state } = mustGet(api.jobs, jobId).message;
      api.explained.push(id);
      if (state !== "queued") return { constraint: "not_waiting", message: "The job does not wait." };
      if (api.explanation !== null) return { ...api.explanation };
      throw new ConnectError("This test has no explanation.", Code.Unavailable);
    },
  });
}

function drainedJob({ message: { id, label, state } }: FakeJob) {
  return { id, label, state, onHold: false };
}

async function* sendLog(api: FakeApi, request: LogsRequest, signal: AbortSignal) {
  const job = mustGet(api.jobs, request.jobId);
  const attempt = request.attempt || Math.max(1, job.message.attempt);
  let offset = Number(request.offset);
  yield { attempt, offset: request.offset, data: new Uint8Array() };
  for (;;) {
    const { message } = job;
    const log = job[request.stream === "console" ? "console" : "output"].get(attempt) ?? Buffer.alloc(0);
    const { from, to } = job.dropped ?? { from: Infinity, to: 0 };
    while (offset < log.length) {
      const skippedBytes = offset >= from && offset < to ? to - offset : 0;
      offset += skippedBytes;
      const data = log.subarray(offset, Math.min(offset + pieceBytes, offset < from ? from : Infinity));
      yield {
        attempt,
        offset: BigInt(offset),
        data: new Uint8Array(data),
        skippedBytes: BigInt(skippedBytes),
      };
      offset += data.length;
    }
    offset = log.length;
    if (!request.follow || hasEnded(message, { attempt, stream: request.stream })) return;
    await sleep(pollMs, undefined, { signal });
  }
}

function hasEnded(job: Job, log: { attempt: number; stream: string }): boolean {
  const isOnlyHeld = log.stream !== "console" && job.hold?.state === "on_hold";
  const isRepeated = job.attempt > log.attempt || (job.attempt === log.attempt && job.state === "queued");
  return finalStates.includes(job.state) || isOnlyHeld || isRepeated;
}

function mustGet(jobs: ReadonlyMap<string, FakeJob>, prefix: string): FakeJob {
  const found = [...jobs.values()].filter(
    ({ message }) => message.id.startsWith(prefix) || message.requestId === prefix,
  );
  if (found.length === 1 && found[0]) return found[0];
  throw new ConnectError(`There is no job ${prefix}.`, Code.NotFound, {
    "solstice-error-code": "not_found",
    "solstice-remedy": "See 'solstice jobs' %E2%80%94 it lists them.",
  });
}
