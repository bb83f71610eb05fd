import type { AsyncMessage, Channel } from "rabbitmq-client";
import { bounded } from "../connection/bounded.ts";

/** The broker's instruction for a delivery. */
export type Settlement = "ack" | "requeue";

/** One consumer on one channel, from its start until the channel closes, the queue is deleted or `finish()` is called. */
export interface ConsumerSession {
  /** Resolves when no more deliveries arrive. */
  readonly ended: Promise<void>;
  /**
   * Takes no more deliveries; resolves when the in-flight deliveries are settled and the channel is closed. Never
   * rejects.
   */
  finish(): Promise<void>;
}

/** Options of {@link openConsumerSession}. */
export interface SessionOptions {
  /** A channel on which the queue has been declared. */
  readonly channel: Channel;
  readonly queue: string;
  readonly prefetch: number;
  /** Decides about a message; must not reject. */
  readonly settle: (message: AsyncMessage) => Promise<Settlement>;
  /** Time limit for the broker's answer. */
  readonly answerTimeoutMs: number;
}

/** Starts consuming. Rejects when the broker refuses or the channel ends. */
export async function openConsumerSession(options: SessionOptions): Promise<ConsumerSession> {
  const { channel, queue, prefetch, answerTimeoutMs: milliseconds } = options;
  const ending = Promise.withResolvers<void>();
  const atHand = new Set<Promise<void>>();
  let isTaking = true;
  const take = (message: AsyncMessage) => {
    // A delivery after the end is not settled: closing the channel returns it to the queue.
    if (!isTaking) return;
    const dealing = deal(message, options);
    atHand.add(dealing);
    void dealing.finally(() => atHand.delete(dealing));
  };
  channel.once("close", () => ending.resolve());
  // The queue was deleted, or its leader was lost.
  channel.once("basic.cancel", () => ending.resolve());
  await channel.basicQos({ prefetchCount: prefetch });
  const { consumerTag } = await channel.basicConsume({ queue }, take);
  return {
    ended: ending.promise,
    async finish() {
      isTaking = false;
      ending.resolve();
      const cancelled: Promise<unknown> = channel.active
        ? channel.basicCancel({ consumerTag })
        : Promise.resolve();
      await quietly(bounded(cancelled, { milliseconds, what: "Cancelling the consumer" }));
      await Promise.all(atHand);
      await quietly(bounded(channel.close(), { milliseconds, what: "Closing the channel" }));
    },
  };
}

async function deal(message: AsyncMessage, { channel, settle }: SessionOptions): Promise<void> {
  const settlement = await settle(message);
  // A closed channel cannot settle deliveries: the broker delivers the message again.
  if (!channel.active) return;
  const { deliveryTag } = message;
  if (settlement === "ack") channel.basicAck({ deliveryTag });
  else channel.basicNack({ deliveryTag, requeue: true });
}

/** Ignores a rejection: a broker that cannot answer has lost the consumer and the channel as well. */
async function quietly(promise: Promise<unknown>): Promise<void> {
  await promise.catch(() => undefined);
}
