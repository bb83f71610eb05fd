import { setImmediate as nextTurn } from "node:timers/promises";
import type { Channel, Envelope } from "rabbitmq-client";
import { SolsticeError } from "../../core/errors.ts";
import { bounded } from "../connection/bounded.ts";
import { toBrokerError } from "../connection/broker-errors.ts";
import type { BrokerConnection } from "../connection/connection.ts";
import { frameBytesMax, propertiesBytes } from "../connection/frame-size.ts";

/** Publishes persistent messages, each confirmed by the broker and routed to a queue. */
export interface Publisher {
  /** Rejects with `broker_unavailable`, `unroutable` or `limit_exceeded` (its headers), within the confirm's time limit. */
  publish(envelope: Envelope, body: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** What a publisher needs. */
export interface PublisherOptions {
  readonly connection: BrokerConnection;
  readonly confirmTimeoutMs: number;
  /** Done on each new channel before anything is published: declares what must be there. */
  readonly prepare?: (channel: Channel) => Promise<void>;
}

interface PublishChannel {
  readonly channel: Channel;
  /** The broker gave a message back: it had no queue for it. */
  hasReturned: boolean;
}

/** A publisher on a channel of its own, opened with the first message and again after each trouble. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { connection, confirmTimeoutMs: milliseconds } = options;
  let opening: Promise<PublishChannel> | null = null;
  const discard = async () => {
    const old = opening;
    opening = null;
    // It may be broken already, or never have opened: then it is closed.
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
        // A channel that opens too late must not send what its caller has given up, and will send again.
        const published = current.then((opened) =>
          isAwaited ? publishOn(opened, envelope, body) : undefined,
        );
        await bounded(published, { milliseconds, what: "The broker's confirm" });
      } catch (error) {
        isAwaited = false;
        // Without waiting: a channel that does not answer would not answer its closing either.
        if (opening === current) void discard();
        throw toBrokerError(error, connection.url);
      }
    },
    close: () => bounded(discard(), { milliseconds, what: "The end of the channel" }).catch(() => undefined),
  };
}

/** Sent all the same, it would close the channel, and with it end all that others are publishing there. */
function refuseTooLong(envelope: Envelope): void {
  const bytes = propertiesBytes(envelope);
  if (bytes <= frameBytesMax) return;
  throw new SolsticeError(
    "limit_exceeded",
    `The message's headers have about ${bytes} bytes; at most ${frameBytesMax} fit in one frame.`,
  );
}

/** The client library would keep it for later, and each repetition as well. */
function refuseWhileBlocked(connection: BrokerConnection): void {
  if (!connection.isBlocked()) return;
  throw new SolsticeError("broker_unavailable", connection.status().message, {
    remedy: "Look at RabbitMQ's alarms (rabbitmq-diagnostics alarms); it is tried again.",
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
 * An unroutable message is given back and then confirmed. Which one was given back is not looked for: all that are under
 * way fail and are sent again, which receivers must bear with anyway.
 */
async function publishOn(opened: PublishChannel, envelope: Envelope, body: Buffer): Promise<void> {
  await opened.channel.basicPublish({ ...envelope, durable: true, mandatory: true }, body);
  // The library tells of the confirm at once, and of what was given back before it in the next turn.
  await nextTurn();
  if (!opened.hasReturned) return;
  throw new SolsticeError(
    "unroutable",
    `No queue is bound to the exchange ${envelope.exchange} for the routing key ${envelope.routingKey}.`,
  );
}
