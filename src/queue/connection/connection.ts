import { type Channel, Connection } from "rabbitmq-client";
import type { Log } from "../../core/log.ts";
import type { BrokerStatus } from "../broker.ts";
import { bounded } from "./bounded.ts";
import { brokerErrorText, shownBrokerUrl } from "./broker-errors.ts";
import { frameBytesMax } from "./frame-size.ts";
import { keepBodiesRaw } from "./raw-bodies.ts";

/** Settings of the client library; the URL may override heartbeat and connection_timeout. */
const settings = {
  /** In seconds; the connection is closed after two missed heartbeats. */
  heartbeat: 10,
  connectionTimeout: 10_000,
  /** Time limit for opening a channel, a reconnection included. */
  acquireTimeout: 5000,
  retryLow: 200,
  retryHigh: 5000,
  noDelay: true,
  frameMax: frameBytesMax,
} as const;

/** A connection that reconnects automatically. */
export interface BrokerConnection {
  readonly url: string;
  status(): BrokerStatus;
  /**
   * True while RabbitMQ accepts no messages because memory or disk is short: published messages are kept and sent
   * later.
   */
  isBlocked(): boolean;
  /** Opens a channel whose messages have raw bodies. The caller closes the channel; it also ends with the connection. */
  openChannel(): Promise<Channel>;
  /** Closes the connection; after the time limit, destroys it. Never rejects. */
  close(timeoutMs: number): Promise<void>;
}

/** Options of {@link openConnection}. */
export interface ConnectionOptions {
  readonly url: string;
  /** Name of the connection in RabbitMQ's management page. */
  readonly name: string;
  readonly log: Log;
  /** Called with each loss of the connection, and with the first failure to connect. */
  readonly onLost?: (error: Error) => void;
}

/** Starts connecting, and retries until the connection is closed. */
export function openConnection({ url, name, log, onLost }: ConnectionOptions): BrokerConnection {
  const shown = shownBrokerUrl(url);
  let status: BrokerStatus = { connected: false, message: `Connecting to RabbitMQ at ${shown}.` };
  let isBlocked = false;
  const connection = new Connection({ url, connectionName: name, ...settings });
  connection.on("connection", () => {
    isBlocked = false;
    status = { connected: true, message: `Connected to RabbitMQ at ${shown}.` };
    log.info({ broker: shown, connection: name }, "connected to RabbitMQ");
  });
  connection.on("connection.blocked", (reason) => {
    isBlocked = true;
    status = { connected: false, message: `RabbitMQ at ${shown} accepts no messages for now: ${reason}.` };
    log.warn({ broker: shown, connection: name, reason }, "RabbitMQ accepts no messages for now");
  });
  connection.on("connection.unblocked", () => {
    isBlocked = false;
    status = { connected: true, message: `Connected to RabbitMQ at ${shown}.` };
    log.info({ broker: shown, connection: name }, "RabbitMQ accepts messages again");
  });
  connection.on("error", (error: Error) => {
    const why = brokerErrorText(error, url);
    // The library also reports errors of single channels here, while the connection is up.
    if (!connection.ready)
      status = { connected: false, message: `No connection to RabbitMQ at ${shown}: ${why}.` };
    log.warn({ broker: shown, connection: name, why }, "RabbitMQ connection or channel failed; retrying");
    onLost?.(error);
  });
  return {
    url,
    status: () => status,
    isBlocked: () => isBlocked,
    async openChannel() {
      const channel = await connection.acquire({ emitErrorsFromChannel: true });
      // The error that closes a channel also rejects the pending calls; without a listener it would end the process.
      channel.on("error", (error: unknown) => {
        log.warn(
          { broker: shown, connection: name, why: brokerErrorText(error, url) },
          "RabbitMQ closed a channel",
        );
      });
      keepBodiesRaw(channel);
      return channel;
    },
    async close(timeoutMs) {
      try {
        await bounded(connection.close(), { milliseconds: timeoutMs, what: "Closing the connection" });
      } catch {
        connection.unsafeDestroy();
      }
    },
  };
}
