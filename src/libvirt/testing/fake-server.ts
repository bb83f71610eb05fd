import { mkdtempSync, rmSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LibvirtErrorCode } from "../errors.ts";
import type { Packet, PacketHeader } from "../wire/packet.ts";
import {
  encodePacket,
  KEEPALIVE_PROGRAM,
  PacketDecoder,
  PacketStatus,
  PacketType,
  PROTOCOL_VERSION,
  REMOTE_PROGRAM,
} from "../wire/packet.ts";
import type { Procedure } from "../wire/procedures.ts";
import { keepalive, lifecycleEvent, procedures } from "../wire/procedures.ts";
import type { Domain, WireError } from "../wire/types.ts";
import { errorCodec } from "../wire/types.ts";
import { decode, encode } from "../wire/xdr.ts";

/** Thrown by a handler of {@link FakeLibvirtServer}: becomes an error reply. */
export class FakeFault extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = "FakeFault";
    this.code = code;
  }
}

type Handler = (body: Uint8Array) => Promise<Uint8Array>;

/** The server's end of a stream that a call opened. */
export interface FakeStream {
  /** Sends bytes; an empty array announces the end of the data. */
  send(bytes: Uint8Array): void;
  /** Ends the stream normally, in answer to the client's end. */
  finish(): void;
  abort(code: number, message: string): void;
}

/** A test server's handlers for one stream. */
export interface FakeStreamHandlers {
  onData(bytes: Uint8Array): void;
  onFinish(): void;
  /** The client's connection has closed. */
  onClose?(): void;
}

const EMPTY = new Uint8Array(0);

/** Starts a server with no domains, on a socket in a directory of its own. The caller must `remove()` it. */
export async function startFakeServer(): Promise<FakeLibvirtServer> {
  const server = new FakeLibvirtServer(mkdtempSync(join(tmpdir(), "fake-libvirt-")));
  await server.start();
  return server;
}

/**
 * A server of libvirt's protocol with scripted answers. The handshake is libvirtd's without authentication; every other
 * call needs a handler, and otherwise gets the error for an unknown procedure. Shares the client's codecs.
 */
export class FakeLibvirtServer {
  readonly socketPath: string;
  readonly uri: string;
  /** Names of the received calls, in order, handshake included. */
  readonly calls: string[] = [];
  /** Largest number of in-flight calls on one connection. */
  maxInFlight = 0;
  readonly #directory: string;
  readonly #handlers = new Map<number, Handler>();
  readonly #streamOpeners = new Map<number, (body: Uint8Array, stream: FakeStream) => FakeStreamHandlers>();
  readonly #connections = new Set<FakeConnection>();
  #server: Server | undefined;

  /** Called by {@link startFakeServer}. */
  constructor(directory: string) {
    this.#directory = directory;
    this.socketPath = join(directory, "libvirt-sock");
    this.uri = `qemu+unix:///system?socket=${this.socketPath}`;
    this.handle(procedures.authList, () => ({ types: [0] }));
    this.handle(procedures.connectSupportsFeature, () => ({ supported: true }));
    this.handle(procedures.connectOpen, () => undefined);
    this.handle(procedures.registerEvent, () => ({ callbackId: 1 }));
  }

  /** Number of open connections. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Listens on the socket. */
  start(): Promise<void> {
    const server = createServer((socket) => this.#accept(socket));
    this.#server = server;
    return new Promise((resolve) => server.listen(this.socketPath, resolve));
  }

  /** Cuts every connection and stops listening, like a daemon that dies. {@link start} starts it again. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.cutConnections();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** Stops the server and removes its directory. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Sets the answer to a call: a reply, or a promise of one; {@link FakeFault} thrown becomes an error reply. */
  handle<Args, Reply>(
    procedure: Procedure<Args, Reply>,
    answer: (args: Args) => Reply | Promise<Reply>,
  ): void {
    this.#handlers.set(procedure.number, async (body) => {
      const reply = await answer(decode(procedure.args, body));
      return encode(procedure.reply, reply);
    });
  }

  /** Sets the answer to a call that opens a stream: `open` may throw {@link FakeFault}, and may send at once. */
  handleStream<Args>(
    procedure: Procedure<Args, void>,
    open: (args: Args, stream: FakeStream) => FakeStreamHandlers,
  ): void {
    this.#streamOpeners.set(procedure.number, (body, stream) => open(decode(procedure.args, body), stream));
  }

  /** Sends a lifecycle event (numbers as in libvirt-domain.h) to the connections that registered for it. */
  sendLifecycle(domain: Domain, event: number, detail: number): void {
    const body = encode(lifecycleEvent.body, { callbackId: 1, domain, event, detail });
    const header = remoteHeader(lifecycleEvent.number, PacketType.message);
    for (const connection of this.#connections) {
      if (connection.registered) connection.write(encodePacket(header, body));
    }
  }

  /** Sends a keepalive ping on every connection; resolves when all have answered. */
  async ping(): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => connection.ping()));
  }

  /** Sends arbitrary bytes on every connection. */
  write(bytes: Uint8Array): void {
    for (const connection of this.#connections) connection.write(bytes);
  }

  /** Closes every connection, and continues to listen. */
  cutConnections(): void {
    for (const connection of this.#connections) connection.end();
  }

  #accept(socket: Socket): void {
    const connection = new FakeConnection(socket, (packet) => this.#answer(connection, packet));
    this.#connections.add(connection);
    socket.on("close", () => this.#connections.delete(connection));
  }

  async #answer(connection: FakeConnection, { header, body }: Packet): Promise<void> {
    this.calls.push(procedureNames.get(header.procedure) ?? String(header.procedure));
    connection.inFlight += 1;
    this.maxInFlight = Math.max(this.maxInFlight, connection.inFlight);
    const opener = this.#streamOpeners.get(header.procedure);
    const handler = opener
      ? async (bytes: Uint8Array) => connection.openStream(header, (stream) => opener(bytes, stream))
      : (this.#handlers.get(header.procedure) ?? unknownProcedure(header.procedure));
    const reply = { ...header, type: PacketType.reply };
    try {
      const bytes = encodePacket(reply, await handler(body));
      if (header.procedure === procedures.registerEvent.number) connection.registered = true;
      connection.write(bytes);
    } catch (error) {
      const fault = encode(errorCodec, wireError(error));
      connection.write(encodePacket({ ...reply, status: PacketStatus.error }, fault));
    } finally {
      connection.inFlight -= 1;
    }
  }
}

class FakeConnection {
  inFlight = 0;
  registered = false;
  readonly #socket: Socket;
  readonly #decoder = new PacketDecoder();
  readonly #onCall: (packet: Packet) => void;
  readonly #streams = new Map<number, FakeStreamHandlers>();
  #onPong: (() => void) | undefined;

  constructor(socket: Socket, onCall: (packet: Packet) => void) {
    this.#socket = socket;
    this.#onCall = onCall;
    socket.on("data", (chunk) => this.#receive(chunk));
    // A client that disconnects during an answer is normal here.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      for (const stream of this.#streams.values()) stream.onClose?.();
    });
  }

  /** Opens a stream under the call's serial; an error of the opener becomes the call's answer. */
  openStream(call: PacketHeader, open: (stream: FakeStream) => FakeStreamHandlers): Uint8Array {
    const header = { ...call, type: PacketType.stream };
    const end = (status: number, body: Uint8Array) => {
      this.#streams.delete(call.serial);
      this.write(encodePacket({ ...header, status }, body));
    };
    const stream: FakeStream = {
      send: (bytes) => this.write(encodePacket({ ...header, status: PacketStatus.continue }, bytes)),
      finish: () => end(PacketStatus.ok, EMPTY),
      abort: (code, message) =>
        end(PacketStatus.error, encode(errorCodec, wireError(new FakeFault(code, message)))),
    };
    this.#streams.set(call.serial, open(stream));
    return EMPTY;
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.destroy();
  }

  ping(): Promise<void> {
    return new Promise((resolve) => {
      this.#onPong = resolve;
      const header = remoteHeader(keepalive.ping, PacketType.message);
      this.write(encodePacket({ ...header, program: KEEPALIVE_PROGRAM }, EMPTY));
    });
  }

  #receive(chunk: Uint8Array): void {
    for (const packet of this.#decoder.push(chunk)) {
      if (packet.header.type === PacketType.stream) this.#receiveStream(packet);
      else if (packet.header.program === REMOTE_PROGRAM) this.#onCall(packet);
      else if (packet.header.procedure === keepalive.pong) this.#onPong?.();
    }
  }

  #receiveStream({ header, body }: Packet): void {
    const stream = this.#streams.get(header.serial);
    if (header.status === PacketStatus.continue) stream?.onData(body);
    else stream?.onFinish();
  }
}

const procedureNames = new Map<number, string>(
  Object.values(procedures).map((procedure) => [procedure.number, procedure.name]),
);

function remoteHeader(procedure: number, type: number): PacketHeader {
  return {
    program: REMOTE_PROGRAM,
    version: PROTOCOL_VERSION,
    procedure,
    type,
    serial: 0,
    status: PacketStatus.ok,
  };
}

function unknownProcedure(procedure: number): Handler {
  return () => {
    throw new FakeFault(LibvirtErrorCode.RPC, `unknown procedure: ${procedure}`);
  };
}

function wireError(error: unknown): WireError {
  const code = error instanceof FakeFault ? error.code : LibvirtErrorCode.INTERNAL_ERROR;
  const message = error instanceof Error ? error.message : String(error);
  const absent = {
    subjectDomain: undefined,
    string1: undefined,
    string2: undefined,
    string3: undefined,
    subjectNetwork: undefined,
  };
  return { code, domain: 10, message, level: 2, integer1: 0, integer2: 0, ...absent };
}
