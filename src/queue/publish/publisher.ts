import { setImmediate as nextTurn } from "node:timers/promises";
import type { Channel, Envelope } from "rabbitmq-client";
import { SolsticeError } from "../../core/errors.ts";
import { bounded } from "../connection/bounded.ts";
import { toBrokerError } from "../connection/broker-errors.ts";
import type { BrokerConnection } from "../connection/connection.ts";
import { frameBytesMax, propertiesBytes } from "../connection/frame-size.ts";

/** Publishes persistent messages, each confirmed by the broker and routed to a queue. */
export interface Publisher {
  /**
   * Rejects with `broker_unavailable`, `unroutable` or `limit_exceeded` (too long headers), within the time limit of
   * the confirm.
   */
  publish(envelope: Envelope, body: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** Options of {@link createPublisher}. */
export interface PublisherOptions {
  readonly connection: BrokerConnection;
  readonly confirmTimeoutMs: number;
  /** Runs on each new channel before the first message: declares exchanges and queues. */
  readonly prepare?: (channel: Channel) => Promise<void>;
}

interface PublishChannel {
  readonly channel: Channel;
  /** True when the broker has returned a message because no queue is bound for it. */
  hasReturned: boolean;
}

/** Creates a publisher with its own channel, opened with the first message and again after each failure. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { connection, confirmTimeoutMs: milliseconds } = options;
  let opening: Promise<PublishChannel> | null = null;
  const discard = async () => {
    const old = opening;
    opening = null;
    // The channel may be broken or never have opened: then it is closed already.
    await old?.then(({ channel }) => channel.close()).catch(() => undefined);
  };
  return {
    async publish(envelope, body) {
      refuseTooLong(envelope);
      refuseWhileBlocked(connection);
      opening ??= openPublishChannel(options);
      const current = opening;
      let isAwaited = true;
      try {
        // A channel that opens too late must not send a message that its caller has given up, and will send again.
        const published = current.then((opened) =>
          isAwaited ? publishOn(opened, envelope, body) : undefined,
        );
        await bounded(published, { milliseconds, what: "The broker's confirm" });
      } catch (error) {
        isAwaited = false;
        // Do not wait: a channel that does not answer a publish does not answer a close either.
        if (opening === current) void discard();
        throw toBrokerError(error, connection.url);
      }
    },
    close: () => bounded(discard(), { milliseconds, what: "Closing the channel" }).catch(() => undefined),
  };
}

/**
 * Throws for headers that do not fit in one frame: such a message would close the channel and end all other publishes
 * on it.
 */
function refuseTooLong(envelope: Envelope): void {
  const bytes = propertiesBytes(envelope);
  if (bytes <= frameBytesMax) return;
  throw new SolsticeError(
    "limit_exceeded",
    `The message's headers have about ${bytes} bytes; at most ${frameBytesMax} fit in one frame.`,
  );
}

/** Throws while RabbitMQ is blocked: the client library would queue the message for later, and each retry as well. */
function refuseWhileBlocked(connection: BrokerConnection): void {
  if (!connection.isBlocked()) return;
  throw new SolsticeError("broker_unavailable", connection.status().message, {
    remedy: "Check RabbitMQ's alarms (rabbitmq-diagnostics alarms); Solstice retries automatically.",
  });
}

async function openPublishChannel({ connection, prepare }: PublisherOptions): Promise<PublishChannel> {
  const channel = await connection.openChannel();
  try {
    await prepare?.(channel);
    await channel.confirmSelect();
  } catch (error) {
    void channel.close();
    throw error;
  }
  const opened: PublishChannel = { channel, hasReturned: false };
  channel.on("basic.return", () => {
    opened.hasReturned = true;
  });
  return opened;
}

/**
 * Publishes one message. RabbitMQ returns an unroutable message and then confirms it. The returned message is not
 * identified: all in-flight messages fail and are sent again, and receivers must accept repeated messages anyway.
 */
async function publishOn(opened: PublishChannel, envelope: Envelope, body: Buffer): Promise<void> {
  await opened.channel.basicPublish({ ...envelope, durable: true, mandatory: true }, body);
  // The library reports the confirm at once, and the return that came before it in the next turn.
  await nextTurn();
  if (!opened.hasReturned) return;
  throw new SolsticeError(
    "unroutable",
    `No queue is bound to the exchange ${envelope.exchange} for the routing key ${envelope.routingKey}.`,
  );
}
