import { setTimeout as delay } from "node:timers/promises";
import { LibvirtConnectionError } from "../errors.ts";
import type { Procedure } from "../wire/procedures.ts";
import { backoffSeconds } from "./backoff.ts";
import { CallQueue } from "./call-queue.ts";
import type { Connection } from "./connection.ts";
import { openSession } from "./session.ts";
import type { Endpoint } from "./uri.ts";

/** Age after which a connection counts as stable: the backoff then starts again at its shortest wait. */
const STABLE_SECONDS = 10;

/** Settings and handlers of a {@link Channel}. */
export interface ChannelOptions {
  endpoint: Endpoint;
  connectTimeoutSeconds: number;
  callTimeoutSeconds: number;
  /** Runs on every new connection before any call; a rejection counts as a failed connection attempt. */
  prepare: ((connection: Connection) => Promise<void>) | undefined;
  /** Receives an event of the server: procedure number and XDR body. */
  onEvent?(procedure: number, body: Uint8Array): void;
  /** The connection ended while the channel is open. */
  onDisconnect?(error: LibvirtConnectionError): void;
  /** A new connection is ready after a lost one. */
  onReconnect?(): void;
}

/**
 * A connection that reconnects: after the first success it retries with backoff until it is closed. Calls go through a
 * {@link CallQueue}, which keeps or rejects them while there is no connection.
 */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #queue: CallQueue;
  readonly #closing = new AbortController();
  #connection: Connection | undefined;
  #connectedAtMs = 0;
  #attempts = 0;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#queue = new CallQueue(options.callTimeoutSeconds);
  }

  /** True while a connection is ready for calls. */
  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** Opens the first connection. Rejects when that one attempt fails; the channel then stays unusable. */
  async open(): Promise<void> {
    this.#use(await this.#connect());
  }

  /** Queues one call; see {@link CallQueue}. */
  call<Args, Reply>(procedure: Procedure<Args, Reply>, args: Args): Promise<Reply> {
    return this.#queue.call(procedure, args);
  }

  /** Ends the connection, and any attempt to connect. Unsettled calls are rejected (`closed`). */
  close(): void {
    this.#closing.abort();
    this.#queue.close(closedError());
    this.#connection?.close(closedError());
  }

  #connect(): Promise<Connection> {
    const { endpoint, connectTimeoutSeconds, prepare } = this.#options;
    return openSession({
      endpoint,
      timeoutSeconds: connectTimeoutSeconds,
      signal: this.#closing.signal,
      prepare,
      onEvent: (procedure, body) => this.#options.onEvent?.(procedure, body),
      onClose: (error) => this.#handleClose(error),
    });
  }

  #use(connection: Connection): void {
    // The connection may have ended, or the channel been closed, since the last reply of the handshake.
    if (this.#closing.signal.aborted) connection.close(closedError());
    if (connection.closeError) throw connection.closeError;
    this.#connection = connection;
    this.#connectedAtMs = performance.now();
    this.#queue.attach(connection);
  }

  #handleClose(error: LibvirtConnectionError): void {
    // A failed attempt also ends here; only the end of a connection in use starts reconnecting.
    if (!this.#connection) return;
    this.#connection = undefined;
    this.#queue.detach();
    if (this.#closing.signal.aborted) return;
    if (performance.now() - this.#connectedAtMs > STABLE_SECONDS * 1000) this.#attempts = 0;
    this.#options.onDisconnect?.(error);
    this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await delay(backoffSeconds(this.#attempts) * 1000, undefined, { signal });
        this.#attempts += 1;
        this.#use(await this.#connect());
        this.#options.onReconnect?.();
        return;
      } catch {
        // Every failure is handled by a longer wait: the daemon may be restarting.
      }
    }
  }
}

function closedError(): LibvirtConnectionError {
  return new LibvirtConnectionError("closed", "The libvirt client was closed.", { mayHaveRun: true });
}
