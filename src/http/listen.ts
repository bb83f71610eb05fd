import { createServer, type Server as Http1Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { isSolsticeError } from "../core/errors.ts";
import { AddressCounts } from "./limits/address-counts.ts";
import { Connections } from "./limits/connections.ts";
import { Pipelines } from "./limits/pipelines.ts";
import { limitRequests, type RequestLimits } from "./limits/request-limiter.ts";
import { type ListenAddress, listenError } from "./listen-error.ts";
import type { NodeHandler } from "./node-http.ts";
import { detectProtocol } from "./sniff.ts";

/** Limits of a server, in addition to the limits of each request. */
export interface ConnectionLimits extends RequestLimits {
  readonly maxConnections: number;
  /** Connections from one address that is not shared. A guest has its own address. */
  readonly maxConnectionsPerAddress: number;
  /** Maximum of concurrent streams of one HTTP/2 connection. */
  readonly maxStreamsPerConnection: number;
  readonly maxHeaderBytes: number;
  /** Memory that one HTTP/2 connection may use in this process, in MB. */
  readonly maxSessionMemoryMb: number;
  /** Maximum time until the first bytes, and then the headers, have arrived. */
  readonly headersTimeoutMs: number;
  /** Maximum time that a connection may be open without a request. */
  readonly idleTimeoutMs: number;
}

/**
 * Maximum of open calls on one HTTP/1.1 connection; later calls wait for the response to the first. Runners
 * and browsers send one call at a time. A client that sends more without reading is disconnected.
 */
const maxPipelined = 4;

/**
 * Streams that a peer may reset on one HTTP/2 connection, at once and then per second; beyond them the
 * connection is closed.
 */
const streamResetBurst = 50;
const streamResetRate = 10;

/** Milliseconds between checks of a closing server for connections that are finished. */
const closeSweepMs = 20;

/** The options of {@link listen}. */
export interface ListenOptions {
  readonly address: ListenAddress;
  readonly handler: NodeHandler;
  readonly limits: ConnectionLimits;
  /** The flag that sets the address, for the remedy of an error. */
  readonly flag: string;
}

/** A listening server. */
export interface HttpListener {
  /** The actual port, also when port 0 was configured. */
  readonly port: number;
  readonly url: string;
  /**
   * Stops listening, closes idle connections at once, and closes busy connections when they finish or after
   * `graceMs`.
   */
  close(options: { graceMs: number }): Promise<void>;
}

/**
 * Serves HTTP/1.1 and HTTP/2 without TLS (prior knowledge) on one port, so that curl, gRPC and browsers use
 * the same URL.
 *
 * The HTTP/1.1 server itself listens, because Node starts its checks for slow headers only in a server that
 * listens; the first bytes of each new connection are read before that server handles it. Throws a
 * SolsticeError when it cannot listen.
 */
export async function listen(options: ListenOptions): Promise<HttpListener> {
  const limiter = limitRequests(options.handler, options.limits);
  const http1 = createHttp1(limiter.handler, options.limits);
  const http2 = createHttp2(limiter.handler, options.limits);
  const { maxConnectionsPerAddress, isSharedAddress } = options.limits;
  const connections = new Connections(new AddressCounts(maxConnectionsPerAddress, isSharedAddress));
  routeConnections({ http1, http2, connections, limits: options.limits });
  await bind(http1, options);
  const { port } = http1.address() as AddressInfo;
  let closing: Promise<void> | null = null;
  return {
    port,
    url: urlOf({ host: options.address.host, port }),
    close({ graceMs }) {
      closing ??= closeAll({ http1, http2, connections, graceMs }).finally(limiter.stop);
      return closing;
    },
  };
}

function createHttp1(handler: NodeHandler, limits: ConnectionLimits): Http1Server {
  const pipeline = new Pipelines(maxPipelined);
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.bodyTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: Math.min(5000, limits.headersTimeoutMs / 2),
      // The handler refuses a request without Host, with our error text.
      requireHostHeader: false,
    },
    (request, response) => {
      // This request arrived in one piece with the request that closed the connection.
      if (request.socket.destroyed) return;
      if (!pipeline.admit(request.socket, response)) {
        request.socket.destroy();
        return;
      }
      // While the server closes, a connection ends with the response that was in flight on it.
      response.once("close", () => {
        if (!server.listening) setImmediate(() => server.closeIdleConnections());
      });
      handler(request, response);
    },
  );
  server.maxConnections = limits.maxConnections;
  return server;
}

function createHttp2(handler: NodeHandler, limits: ConnectionLimits): Http2Server {
  const server = createHttp2Server(
    {
      maxSessionMemory: limits.maxSessionMemoryMb,
      maxHeaderListPairs: 100,
      streamResetBurst,
      streamResetRate,
      settings: {
        maxConcurrentStreams: limits.maxStreamsPerConnection,
        maxHeaderListSize: limits.maxHeaderBytes,
      },
    },
    handler,
  );
  // A session's errors (a peer that sends invalid frames or resets) concern only that session, which Node
  // destroys.
  server.on("sessionError", () => {});
  return server;
}

interface Servers {
  readonly http1: Http1Server;
  readonly http2: Http2Server;
  readonly connections: Connections;
}

function routeConnections(options: Servers & { limits: ConnectionLimits }): void {
  const { http1, http2, connections, limits } = options;
  const [serveHttp1] = http1.listeners("connection") as [(socket: Socket) => void];
  http1.removeAllListeners("connection");
  http1.on("connection", async (socket: Socket) => {
    socket.on("error", () => {}); // A reset by the peer needs no action: the socket closes itself.
    if (!connections.admit(socket)) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, limits.idleTimeoutMs); // Detects peers that disappeared during a stream.
    connections.undecided.add(socket);
    const protocol = await detectProtocol(socket, limits.headersTimeoutMs);
    connections.undecided.delete(socket);
    if (protocol === "http1") {
      serveHttp1.call(http1, socket);
      socket.resume(); // A socket that was paused explicitly does not resume when a reader is added.
    }
    if (protocol === "http2") {
      http2.once("session", (session) => connections.sessions.set(session, socket));
      http2.emit("connection", socket);
    }
  });
  http2.on("session", (session) => {
    session.once("close", () => connections.sessions.delete(session));
    closeWhenIdle(session, limits.idleTimeoutMs);
  });
}

/** Closes an HTTP/2 connection that has no open stream. */
function closeWhenIdle(session: ServerHttp2Session, idleTimeoutMs: number): void {
  let streams = 0;
  session.on("stream", (stream) => {
    streams += 1;
    stream.once("close", () => {
      streams -= 1;
    });
  });
  session.setTimeout(idleTimeoutMs, () => {
    if (streams === 0) session.close();
  });
}

async function bind(server: Http1Server, options: ListenOptions): Promise<void> {
  const { port, preferredPort } = options.address;
  if (port === 0 && preferredPort !== undefined) {
    try {
      return await bindTo(server, preferredPort, options);
    } catch (error) {
      if (!isSolsticeError(error, "locked")) throw error;
    }
  }
  await bindTo(server, port, options);
}

function bindTo(server: Http1Server, port: number, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
    server.listen(port, options.address.host, resolve);
  });
}

function urlOf({ host, port }: ListenAddress): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * HTTP/1.1 closes its idle connections itself; connections that remain after the grace time are destroyed.
 */
async function closeAll({
  http1,
  http2,
  connections,
  graceMs,
}: Servers & { graceMs: number }): Promise<void> {
  const closed = new Promise<void>((resolve) => http1.close(() => resolve()));
  http1.closeIdleConnections();
  for (const socket of connections.undecided) socket.destroy();
  for (const session of connections.sessions.keys()) session.close();
  // Node waits until the peer closes its half of an ended session's connection, which some clients never do.
  const sweep = setInterval(() => {
    for (const [session, socket] of connections.sessions) if (session.destroyed) socket.destroySoon();
  }, closeSweepMs);
  const grace = setTimeout(() => {
    for (const socket of connections.sockets) socket.destroy();
  }, graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(grace);
  http2.close();
}
