import type { Socket } from "node:net";
import { connect } from "node:net";
import { LibvirtConnectionError, LibvirtError } from "./errors.ts";
import type { Packet, PacketHeader } from "./packet.ts";
import {
  encodePacket,
  KEEPALIVE_PROGRAM,
  PacketDecoder,
  PacketStatus,
  PacketType,
  PROTOCOL_VERSION,
  REMOTE_PROGRAM,
} from "./packet.ts";
import type { Procedure } from "./procedures.ts";
import { keepalive } from "./procedures.ts";
import { errorCodec } from "./types.ts";
import { decode, encode } from "./xdr.ts";

/** What a connection tells its owner. */
export interface ConnectionHandlers {
  /** An event of the server: its procedure number and XDR body. An exception here ends the connection. */
  onEvent(procedure: number, body: Uint8Array): void;
  /** Called once, after every waiting call was rejected with the same error. */
  onClose(error: LibvirtConnectionError): void;
}

interface WaitingCall {
  resolve(body: Uint8Array): void;
  reject(error: Error): void;
  procedureName: string;
}

const EMPTY_BODY = new Uint8Array(0);
const MAX_SERIAL = 2 ** 32 - 1;
/**
 * The server asks for a sign of life after 5 s of silence (its default), and cuts us off after 30 s without an answer.
 * We hold it to the same time, so that a stopped daemon does not hold calls for ever.
 */
export const MAX_SILENCE_SECONDS = 30;

/**
 * Connects to the unix socket at `path`. Rejects with the system's error (`ENOENT`, `EACCES` …). Aborting
 * destroys the socket, before and after.
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
 * One connection, from its socket to its end: framing, the match of replies to calls, keepalive. It has no deadline, no
 * limit on the number of calls and no second life; those belong to its owner.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #handlers: ConnectionHandlers;
  readonly #decoder = new PacketDecoder();
  readonly #waiting = new Map<number, WaitingCall>();
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

  /** Why the connection ended; undefined while it lives. */
  get closeError(): LibvirtConnectionError | undefined {
    return this.#closeError;
  }

  /** Sends one call; settles with the reply, LibvirtError, or LibvirtConnectionError when the connection ends. */
  async call<Args, Reply>(procedure: Procedure<Args, Reply>, args: Args): Promise<Reply> {
    if (this.#closeError) throw this.#closeError;
    const serial = this.#nextSerial();
    const packet = encodePacket(callHeader(procedure.number, serial), encode(procedure.args, args));
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#waiting.set(serial, { resolve, reject, procedureName: procedure.name });
    this.#socket.write(packet);
    return decodeReply(procedure, await promise);
  }

  /** Ends the connection now; waiting calls are rejected with `error`. Later calls of this do nothing. */
  close(error: LibvirtConnectionError): void {
    if (this.#closeError) return;
    this.#closeError = error;
    this.#socket.destroy();
    for (const call of this.#waiting.values()) call.reject(error);
    this.#waiting.clear();
    this.#handlers.onClose(error);
  }

  #receive(chunk: Uint8Array): void {
    if (this.#closeError) return;
    try {
      for (const packet of this.#decoder.push(chunk)) this.#handle(packet);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.close(protocolError(`The libvirt daemon sent something unintelligible: ${reason}`, cause));
    }
  }

  #handle({ header, body }: Packet): void {
    if (header.program === KEEPALIVE_PROGRAM) this.#answerKeepalive(header);
    else if (header.program !== REMOTE_PROGRAM || header.version !== PROTOCOL_VERSION) {
      throw new Error(`unknown program ${header.program}, version ${header.version}`);
    } else if (header.type === PacketType.reply) this.#settle(header, body);
    else if (header.type === PacketType.message) this.#handlers.onEvent(header.procedure, body);
    else throw new Error(`unexpected packet type ${header.type}`);
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
    // Only a server that has shown that it pings can be called silent.
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
    const text = `The libvirt daemon has been silent for ${MAX_SILENCE_SECONDS} s; the connection was given up.`;
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
