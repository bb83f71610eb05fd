import { type Channel, Connection } from "rabbitmq-client";
import type { BrokerLog, BrokerStatus } from "../broker.ts";
import { bounded } from "./bounded.ts";
import { brokerErrorText, shownBrokerUrl } from "./broker-errors.ts";
import { frameBytesMax } from "./frame-size.ts";
import { keepBodiesRaw } from "./raw-bodies.ts";

/** How the client library behaves; a URL may say otherwise for heartbeat and connection_timeout. */
const settings = {
  /** A silent peer is given up after two of them, in seconds. */
  heartbeat: 10,
  connectionTimeout: 10_000,
  /** How long a channel may take, a reconnection included. */
  acquireTimeout: 5000,
  retryLow: 200,
  retryHigh: 5000,
  noDelay: true,
  frameMax: frameBytesMax,
} as const;

/** A connection that comes back by itself. */
export interface BrokerConnection {
  readonly url: string;
  status(): BrokerStatus;
  /** Whether RabbitMQ takes no messages for now, for want of memory or disk: what is published then is kept and sent later. */
  isBlocked(): boolean;
  /** A channel whose messages have raw bodies. It ends with the connection, and is the caller's to close. */
  openChannel(): Promise<Channel>;
  /** Closes it, in good order where that is possible in time. Never rejects. */
  close(timeoutMs: number): Promise<void>;
}

/** What a connection is opened with. */
export interface ConnectionOptions {
  readonly url: string;
  /** Shown in RabbitMQ's management. */
  readonly name: string;
  readonly log: BrokerLog;
  /** Called with each loss of the connection, and with the first failure to connect. */
  readonly onLost?: (error: Error) => void;
}

/** Starts connecting; it never ends trying until it is closed. */
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
    status = { connected: false, message: `RabbitMQ at ${shown} takes no messages for now: ${reason}.` };
    log.warn({ broker: shown, connection: name, reason }, "RabbitMQ takes no messages for now");
  });
  connection.on("connection.unblocked", () => {
    isBlocked = false;
    status = { connected: true, message: `Connected to RabbitMQ at ${shown}.` };
    log.info({ broker: shown, connection: name }, "RabbitMQ takes messages again");
  });
  connection.on("error", (error: Error) => {
    const why = brokerErrorText(error, url);
    // The library also tells errors of single channels here, while the connection goes on.
    if (!connection.ready)
      status = { connected: false, message: `No connection to RabbitMQ at ${shown}: ${why}.` };
    log.warn({ broker: shown, connection: name, why }, "trouble with RabbitMQ; it is tried again");
    onLost?.(error);
  });
  return {
    url,
    status: () => status,
    isBlocked: () => isBlocked,
    async openChannel() {
      const channel = await connection.acquire({ emitErrorsFromChannel: true });
      // What closes a channel also ends its users' waits; without a listener it would end the process.
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
        await bounded(connection.close(), { milliseconds: timeoutMs, what: "The end of the connection" });
      } catch {
        connection.unsafeDestroy();
      }
    },
  };
}
