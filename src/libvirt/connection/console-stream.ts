import { Duplex } from "node:stream";
import { LibvirtConnectionError } from "../errors.ts";
import { procedures } from "../wire/procedures.ts";
import type { Domain } from "../wire/types.ts";
import { type Connection, MAX_STREAM_BYTES, type StreamChannel } from "./connection.ts";
import { openSession } from "./session.ts";
import type { Endpoint } from "./uri.ts";

/** Bytes buffered in each direction before the other side must wait; one packet of the server may come on top. */
const BUFFER_BYTES = 64 * 1024;

/** The connection ends with its stream. */
const neverAborted = new AbortController().signal;

const ConsoleFlag = { force: 1, safe: 2 } as const;

/** Options of {@link openConsoleStream}. */
export interface ConsoleRequest {
  readonly endpoint: Endpoint;
  /** Time limit for the connection, and again for the call. */
  readonly timeoutSeconds: number;
  readonly domain: Domain;
  /** Alias of the device, such as `serial1`; undefined for the first console. */
  readonly device: string | undefined;
  /** True to end another stream on the same device instead of being refused. */
  readonly force: boolean;
}

/**
 * Opens a domain's console as a stream on a connection of its own: with a slow reader, this process and the daemon each
 * buffer only a small amount. Ending the stream is announced to the daemon; destroying it cuts the connection. The
 * stream is destroyed with an error when the daemon aborts it or disconnects, and ends when the guest stops.
 */
export async function openConsoleStream(request: ConsoleRequest): Promise<Duplex> {
  const connection = await openSession({
    endpoint: request.endpoint,
    timeoutSeconds: request.timeoutSeconds,
    signal: neverAborted,
    keepalive: false,
    onEvent: () => {},
    onClose: () => {},
  });
  const timer = setTimeout(
    () => connection.close(lateError(request.timeoutSeconds)),
    request.timeoutSeconds * 1000,
  );
  try {
    const stream = new ConsoleStream(connection);
    const { domain, device, force } = request;
    const args = { domain, device, flags: force ? ConsoleFlag.force : ConsoleFlag.safe };
    stream.attach(await connection.openStream(procedures.domainOpenConsole, args, stream.handlers));
    return stream;
  } catch (error) {
    connection.close(
      new LibvirtConnectionError("closed", "The console could not be opened.", { cause: error }),
    );
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

class ConsoleStream extends Duplex {
  readonly #connection: Connection;
  #channel: StreamChannel | undefined;
  #isOver = false;
  #hasReadAll = false;
  #finished: (() => void) | undefined;
  readonly handlers = {
    onData: (bytes: Uint8Array) => this.#receive(bytes),
    onEnd: (error: Error | null) => this.#end(error),
  };

  constructor(connection: Connection) {
    super({ readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES, allowHalfOpen: false });
    this.#connection = connection;
  }

  attach(channel: StreamChannel): void {
    this.#channel = channel;
  }

  override _read(): void {
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const piece = chunk.subarray(0, MAX_STREAM_BYTES);
    const rest = chunk.subarray(piece.length);
    if (this.#isOver || !this.#channel) {
      done(endedError());
      return;
    }
    this.#channel.send(piece, (error) => {
      if (error || rest.length === 0) done(error);
      else this._write(rest, "", done);
    });
  }

  override _final(done: () => void): void {
    if (this.#isOver) {
      done();
      return;
    }
    this.#finished = done;
    this.#connection.resume();
    this.#channel?.finish();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#isOver = true;
    this.#connection.close(new LibvirtConnectionError("closed", "The console was closed."));
    done(error);
  }

  #receive(bytes: Uint8Array): void {
    if (this.#hasReadAll) return;
    if (bytes.length === 0) this.#endReading();
    else if (!this.push(bytes)) this.#connection.pause();
  }

  #end(error: Error | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#finished?.();
    if (error) this.destroy(error);
    else this.#endReading();
  }

  #endReading(): void {
    this.#hasReadAll = true;
    this.push(null);
  }
}

function endedError(): LibvirtConnectionError {
  return new LibvirtConnectionError("closed", "The console has ended.");
}

function lateError(seconds: number): LibvirtConnectionError {
  return new LibvirtConnectionError("timeout", `The console was not opened within ${seconds} s.`, {
    mayHaveRun: true,
  });
}
