import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "rabbitmq-client";
import { until } from "../until.ts";

/** A message as another program reads it. */
export interface ReadMessage {
  readonly body: Buffer;
  readonly messageId: string | null;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** A separate program that publishes to an exchange and reads queues. */
export interface Outsider {
  /** Publishes, with retries until the message is confirmed and routed. */
  publish(body: Buffer | object): Promise<void>;
  /** Takes the oldest message of a queue, or waits until there is a message. */
  take(queue: string): Promise<ReadMessage>;
  /** Deletes a queue with all its messages. */
  deleteQueue(queue: string): Promise<void>;
}

/**
 * A producer and reader with a new connection for each operation: on a connection that broke, the client library can
 * wait for an answer without end, and these tests break connections.
 */
export function createOutsider(url: string, target: { exchange: string; routingKey: string }): Outsider {
  return {
    async publish(body) {
      await until("a message is published", () =>
        withConnection(url, (connection) => publishOnce(connection, target, body)).catch(() => null),
      );
    },
    take: (queue) =>
      withConnection(url, (connection) =>
        until(`a message is in ${queue}`, () => takeNow(connection, queue).catch(() => null)),
      ),
    deleteQueue: (queue) =>
      withConnection(url, async (connection) => void (await connection.queueDelete({ queue }))),
  };
}

async function withConnection<T>(url: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = new Connection({ url, retryLow: 200, retryHigh: 1000 });
  connection.on("error", () => {});
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** Null when no queue accepted the message. */
async function publishOnce(
  connection: Connection,
  target: { exchange: string; routingKey: string },
  body: Buffer | object,
): Promise<true | null> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const publisher = connection.createPublisher({ confirm: true });
  let isReturned = false;
  publisher.on("basic.return", () => {
    isReturned = true;
  });
  try {
    await publisher.send({ ...target, durable: true, mandatory: true }, bytes);
    // A message that no queue accepts is returned just before its confirmation, and the client reports it in the next
    // turn.
    await delay(1);
    return isReturned ? null : true;
  } finally {
    await publisher.close();
  }
}

/** Takes the oldest message out of a queue; null when the queue is empty. */
export async function takeNow(connection: Connection, queue: string): Promise<ReadMessage | null> {
  const message = await connection.basicGet({ queue, noAck: true });
  if (message === undefined) return null;
  const { body, messageId, headers } = message;
  // The client parses bodies whose content type is JSON.
  const bytes = Buffer.isBuffer(body)
    ? body
    : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  return { body: bytes, messageId: messageId ?? null, headers: headers ?? {} };
}
