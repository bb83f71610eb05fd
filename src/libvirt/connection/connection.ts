import type { Socket } from "node:net";
import { connect } from "node:net";
import { LibvirtConnectionError, LibvirtError } from "../errors.ts";
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
import { keepalive } from "../wire/procedures.ts";
import { errorCodec } from "../wire/types.ts";
import { decode, encode } from "../wire/xdr.ts";

/** Callbacks of a connection to its owner. */
export interface ConnectionHandlers {
  /** An event of the server: its procedure number and XDR body. An exception here ends the connection. */
  onEvent(procedure: number, body: Uint8Array): void;
  /** Called once, after every pending call was rejected with the same error. */
  onClose(error: LibvirtConnectionError): void;
}

/** Callbacks for a stream's data and end, in the order of arrival; none after `onEnd`. */
export interface StreamHandlers {
  /** Receives bytes; an empty array means that the other side sends no more. */
  onData(bytes: Uint8Array): void;
  /** The stream has ended: finished by both sides, aborted by the server, or ended with its connection. */
  onEnd(error: Error | null): void;
}

/** One end of an open stream. */
export interface StreamChannel {
  /** Sends bytes, at most {@link MAX_STREAM_BYTES}; `sent` is called when the socket has accepted them. */
  send(bytes: Uint8Array, sent: (error?: Error | null) => void): void;
  /** Announces the end of our data; the server's answer ends the stream. */
  finish(): void;
}

interface WaitingCall {
  resolve(body: Uint8Array): void;
  reject(error: Error): void;
  procedureName: string;
}

const EMPTY_BODY = new Uint8Array(0);
const MAX_SERIAL = 2 ** 32 - 1;
/** Largest piece of a stream that every server accepts (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX minus a margin), in bytes. */
export const MAX_STREAM_BYTES = 128 * 1024;
/**
 * The server sends a keepalive ping after 5 s of silence (its default), and closes the connection after 30 s without an
 * answer. The client applies the same limit to the server, so that a stopped daemon does not block calls for ever.
 */
export const MAX_SILENCE_SECONDS = 30;

/**
 * Connects to the unix socket at `path`. Rejects with the system's error (`ENOENT`, `EACCES` …). Aborting destroys the
 * socket, while connecting and later.
 */
export function dial(
  path: string,
  options: { timeoutSeconds: number; signal: AbortSignal },
): Promise<Socket> {
  const { timeoutSeconds, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ path, signal });
  const timer = setTimeout(() => {
    socket.destroy(new Error(`no answer within ${timeoutSeconds} s`));
  }, timeoutSeconds * 1000);
  socket.once("error", reject);
  socket.once("connect", () => {
    socket.off("error", reject);
    resolve(socket);
  });
  return promise.finally(() => clearTimeout(timer));
}

/**
 * One connection, from its socket to its end: framing, matching replies to calls, keepalive. Deadlines, the limit of
 * in-flight calls and reconnecting belong to its owner.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #handlers: ConnectionHandlers;
  readonly #decoder = new PacketDecoder();
  readonly #waiting = new Map<number, WaitingCall>();
  readonly #streams = new Map<number, { handlers: StreamHandlers; procedureName: string }>();
  #lastSerial = 0;
  #closeError: LibvirtConnectionError | undefined;
  #systemError: Error | undefined;

  constructor(socket: Socket, handlers: ConnectionHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => {
      this.#systemError = error;
    });
    socket.on("close", () => this.#lost());
    socket.on("timeout", () => this.#silent());
  }

  /** Reason why the connection ended; undefined while it is open. */
  get closeError(): LibvirtConnectionError | undefined {
    return this.#closeError;
  }

  /** Sends one call; settles with the reply, LibvirtError, or LibvirtConnectionError when the connection ends. */
  async call<Args, Reply>(procedure: Procedure<Args, Reply>, args: Args): Promise<Reply> {
    return this.#send(procedure, args, this.#nextSerial());
  }

  /**
   * Makes a call that opens a stream. The stream's packets go to `handlers`, also those before the call's own reply: a
   * server may send at once. Rejects like {@link call}, and then calls no handler.
   */
  async openStream<Args>(
    procedure: Procedure<Args, void>,
    args: Args,
    handlers: StreamHandlers,
  ): Promise<StreamChannel> {
    const serial = this.#nextSerial();
    this.#streams.set(serial, { handlers, procedureName: procedure.name });
    try {
      await this.#send(procedure, args, serial);
    } catch (error) {
      this.#streams.delete(serial);
      throw error;
    }
    const header = { ...callHeader(procedure.number, serial), type: PacketType.stream };
    return {
      send: (bytes, sent) => {
        this.#socket.write(encodePacket({ ...header, status: PacketStatus.continue }, bytes), sent);
      },
      finish: () => {
        if (this.#streams.has(serial)) this.#socket.write(encodePacket(header, EMPTY_BODY));
      },
    };
  }

  /** Stops reading the whole socket until {@link resume}: only for a connection with a single stream. */
  pause(): void {
    this.#socket.pause();
  }

  /** Continues reading. */
  resume(): void {
    this.#socket.resume();
  }

  async #send<Args, Reply>(procedure: Procedure<Args, Reply>, args: Args, serial: number): Promise<Reply> {
    if (this.#closeError) throw this.#closeError;
    const packet = encodePacket(callHeader(procedure.number, serial), encode(procedure.args, args));
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#waiting.set(serial, { resolve, reject, procedureName: procedure.name });
    this.#socket.write(packet);
    return decodeReply(procedure, await promise);
  }

  /** Ends the connection now; pending calls are rejected with `error`. Idempotent. */
  close(error: LibvirtConnectionError): void {
    if (this.#closeError) return;
    this.#closeError = error;
    this.#socket.destroy();
    for (const call of this.#waiting.values()) call.reject(error);
    this.#waiting.clear();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const { handlers } of streams) handlers.onEnd(error);
    this.#handlers.onClose(error);
  }

  #receive(chunk: Uint8Array): void {
    if (this.#closeError) return;
    try {
      for (const packet of this.#decoder.push(chunk)) this.#handle(packet);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.close(protocolError(`The libvirt daemon sent invalid data: ${reason}`, cause));
    }
  }

  #handle({ header, body }: Packet): void {
    if (header.program === KEEPALIVE_PROGRAM) this.#answerKeepalive(header);
    else if (header.program !== REMOTE_PROGRAM || header.version !== PROTOCOL_VERSION) {
      throw new Error(`unknown program ${header.program}, version ${header.version}`);
    } else if (header.type === PacketType.reply) this.#settle(header, body);
    else if (header.type === PacketType.message) this.#handlers.onEvent(header.procedure, body);
    else if (header.type === PacketType.stream) this.#receiveStream(header, body);
    else throw new Error(`unexpected packet type ${header.type}`);
  }

  #receiveStream(header: PacketHeader, body: Uint8Array): void {
    const stream = this.#streams.get(header.serial);
    if (!stream) throw new Error(`packet of stream ${header.serial}, which was never opened`);
    if (header.status === PacketStatus.continue) {
      stream.handlers.onData(body);
      return;
    }
    this.#streams.delete(header.serial);
    const isFine = header.status === PacketStatus.ok;
    stream.handlers.onEnd(isFine ? null : decodeError(stream.procedureName, body));
  }

  #settle(header: PacketHeader, body: Uint8Array): void {
    const call = this.#waiting.get(header.serial);
    if (!call) throw new Error(`reply to call ${header.serial}, which was never made`);
    this.#waiting.delete(header.serial);
    if (header.status === PacketStatus.ok) call.resolve(body);
    else call.reject(decodeError(call.procedureName, body));
  }

  #answerKeepalive(header: PacketHeader): void {
    if (header.procedure !== keepalive.ping) return;
    // The silence limit applies only to a server that has sent a ping.
    this.#socket.setTimeout(MAX_SILENCE_SECONDS * 1000);
    this.#socket.write(encodePacket(pongHeader, EMPTY_BODY));
  }

  #nextSerial(): number {
    this.#lastSerial = this.#lastSerial === MAX_SERIAL ? 1 : this.#lastSerial + 1;
    return this.#lastSerial;
  }

  #lost(): void {
    const cause = this.#systemError;
    const detail = cause ? ` (${cause.message})` : "";
    this.close(
      new LibvirtConnectionError("lost", `The libvirt daemon closed the connection${detail}.`, {
        cause,
        mayHaveRun: true,
      }),
    );
  }

  #silent(): void {
    const text = `No data from the libvirt daemon for ${MAX_SILENCE_SECONDS} s; the connection was closed.`;
    this.close(new LibvirtConnectionError("lost", text, { mayHaveRun: true }));
  }
}

const pongHeader: PacketHeader = {
  program: KEEPALIVE_PROGRAM,
  version: PROTOCOL_VERSION,
  procedure: keepalive.pong,
  type: PacketType.message,
  serial: 0,
  status: PacketStatus.ok,
};

function callHeader(procedure: number, serial: number): PacketHeader {
  return {
    program: REMOTE_PROGRAM,
    version: PROTOCOL_VERSION,
    procedure,
    type: PacketType.call,
    serial,
    status: PacketStatus.ok,
  };
}

function decodeReply<Args, Reply>(procedure: Procedure<Args, Reply>, body: Uint8Array): Reply {
  try {
    return decode(procedure.reply, body);
  } catch (cause) {
    throw protocolError(`The reply to ${procedure.name} does not have the expected form.`, cause);
  }
}

function decodeError(procedure: string, body: Uint8Array): Error {
  try {
    const { code, domain, level, message } = decode(errorCodec, body);
    return new LibvirtError({ code, domain, level, message: message ?? `libvirt error ${code}`, procedure });
  } catch (cause) {
    return protocolError(`The error reply to ${procedure} does not have the expected form.`, cause);
  }
}

function protocolError(message: string, cause: unknown): LibvirtConnectionError {
  return new LibvirtConnectionError("protocol", message, { cause, mayHaveRun: true });
}
