import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { accessRefusal } from "../access/access.ts";
import { createRunnerGate } from "../attempts/runner-gate.ts";
import { createRunnerService, type RunnerServiceContext } from "../attempts/runner-service.ts";
import { createTransferRoutes } from "../attempts/transfers/transfer-routes.ts";
import { isLoopback } from "../core/hosts/loopback.ts";
import type { Log } from "../core/log.ts";
import { type JsonBounds, requestJsonBounds } from "../core/text/json-bounds.ts";
import { JobService } from "../gen/solstice/v1/jobs_pb.ts";
import { RunnerService } from "../gen/solstice/v1/runner_pb.ts";
import { wrongHostRefusal } from "../http/asked-host.ts";
import { createConnectHandler, refuseUnknownMethod } from "../http/connect-adapter.ts";
import { createHostGate } from "../http/host-gate.ts";
import { createHttpRoutes, type MetricsSource, type ReadinessCheck } from "../http/http.ts";
import { type ConnectionLimits, listen } from "../http/listen.ts";
import type { ListenAddress } from "../http/listen-error.ts";
import { type NodeHandler, pathOf } from "../http/node-http.ts";
import { refuse } from "../http/refusal.ts";
import { createArtifactRoute } from "./artifacts.ts";
import { createJobService, type JobServiceContext } from "./job-service.ts";

/** A running server. */
export interface ApiServer {
  readonly url: string;
  /** The actual port, also when port 0 was configured. */
  readonly port: number;
  /**
   * Stops listening, ends streams, and resolves when all connections are closed, at the latest after {@link
   * closeGraceMs}.
   */
  close(): Promise<void>;
}

/** The options of {@link startUserServer}. */
export interface UserServerOptions extends JobServiceContext {
  readonly listen: ListenAddress;
  /** The current token. Null: no token is required, and only requests that name a local host are served. */
  readonly token: () => string | null;
  readonly log: Log;
  readonly readiness: () => Promise<readonly ReadinessCheck[]>;
  readonly metrics: MetricsSource;
  readonly limits?: Partial<ConnectionLimits>;
  /** Default: {@link closeGraceMs}. */
  readonly closeGraceMs?: number;
}

/** The options of {@link startRunnerServer}. */
export interface RunnerServerOptions extends RunnerServiceContext {
  readonly listen: ListenAddress;
  readonly limits?: Partial<ConnectionLimits>;
  /** Default: {@link closeGraceMs}. */
  readonly closeGraceMs?: number;
}

/** Maximum time for calls in flight when a server closes. */
export const closeGraceMs = 2000;

/** Maximum message of the user API, in bytes. */
const userMessageBytes = 4 * 1024 * 1024;

/** Maximum message of a guest, in bytes: 1 MiB of log in base64, and some overhead. */
const runnerMessageBytes = 2 * 1024 * 1024;

/** Messages of guests have about 12 fields and are not nested. */
const runnerJsonBounds: JsonBounds = { depth: 8, marks: 500 };

const userLimits: ConnectionLimits = {
  maxConnections: 500,
  maxConnectionsPerAddress: 250,
  maxStreamsPerConnection: 100,
  maxSessionMemoryMb: 32,
  maxInFlight: 250,
  maxInFlightPerAddress: 125,
  isSharedAddress: isLoopback,
  maxHeaderBytes: 16 * 1024,
  headersTimeoutMs: 15_000,
  bodyTimeoutMs: 60_000,
  stallTimeoutMs: 120_000,
  idleTimeoutMs: 60_000,
  longBodies: ["/solstice.v1.JobService/Shell"],
};

/**
 * Guests are not trusted: together they can make this process hold 64 messages of 2 MiB, and one guest a
 * tenth of that. A guest needs one connection and one call at a time; the rest is for runners with concurrent
 * calls.
 */
export const runnerConnectionLimits: ConnectionLimits = {
  ...userLimits,
  maxConnections: 512,
  maxConnectionsPerAddress: 8,
  maxStreamsPerConnection: 4,
  maxSessionMemoryMb: 8,
  maxInFlight: 64,
  maxInFlightPerAddress: 6,
};

/** Serves the API for people: RPC, artifacts, `/healthz`, `/readyz` and `/metrics`. */
export function startUserServer(options: UserServerOptions): Promise<ApiServer> {
  const refusal = (request: Parameters<NodeHandler>[0]) =>
    wrongHostRefusal(request, options.hostId) ??
    accessRefusal(request, { token: options.token(), listenHost: options.listen.host });
  const pages = createArtifactRoute({ ...options, refusal }, createHttpRoutes({ ...options, refusal }));
  return start({
    address: options.listen,
    closeGraceMs: options.closeGraceMs,
    flag: "--api-listen",
    limits: { ...userLimits, ...options.limits },
    log: options.log,
    readMaxBytes: userMessageBytes,
    jsonBounds: requestJsonBounds,
    routes: (router) => router.service(JobService, createJobService(options)),
    fallback: (request, response) =>
      isRpc(pathOf(request)) ? refuseUnknownMethod(request, response) : pages(request, response),
    // Checked before the body is read: a caller without access must not make this process hold megabytes.
    gate: (handler) => (request, response) => {
      const refused = isRpc(pathOf(request)) ? refusal(request) : null;
      if (refused) refuse(response, refused);
      else handler(request, response);
    },
  });
}

/** Serves the API for guests: RPC, and the bytes of files; each call carries its own token. */
export function startRunnerServer(options: RunnerServerOptions): Promise<ApiServer> {
  return start({
    address: options.listen,
    closeGraceMs: options.closeGraceMs,
    flag: "--runner-listen",
    limits: { ...runnerConnectionLimits, ...options.limits },
    log: options.log,
    readMaxBytes: runnerMessageBytes,
    jsonBounds: runnerJsonBounds,
    routes: (router) => router.service(RunnerService, createRunnerService(options)),
    fallback: createTransferRoutes(options, refuseUnknownMethod),
    gate: (handler) => createRunnerGate(options, handler),
  });
}

interface ServerParts {
  readonly address: ListenAddress;
  readonly closeGraceMs: number | undefined;
  readonly flag: string;
  readonly limits: ConnectionLimits;
  readonly log: Log;
  readonly readMaxBytes: number;
  readonly jsonBounds: JsonBounds;
  readonly routes: (router: ConnectRouter) => void;
  readonly fallback: NodeHandler;
  readonly gate: (handler: NodeHandler) => NodeHandler;
}

async function start(parts: ServerParts): Promise<ApiServer> {
  const shutdown = new AbortController();
  const handler = createConnectHandler({ ...parts, shutdownSignal: shutdown.signal });
  const listener = await listen({ ...parts, handler: createHostGate(parts.gate(handler)) });
  return {
    url: listener.url,
    port: listener.port,
    close() {
      shutdown.abort(new ConnectError("The server is stopping.", Code.Unavailable));
      return listener.close({ graceMs: parts.closeGraceMs ?? closeGraceMs });
    },
  };
}

function isRpc(path: string): boolean {
  return path.startsWith("/solstice.v1.");
}
