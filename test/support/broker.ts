import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "rabbitmq-client";

/** The longest that a test waits for one thing to come true. */
const patienceMs = 60_000;
const pollMs = 100;

/** After this a producer takes a message for lost, in ms. */
const confirmTimeoutMs = 2000;

/** A message as some other program reads it. */
export interface ReadMessage {
  readonly body: Buffer;
  readonly messageId: string | null;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** A program that is not ours: it publishes to an exchange and reads queues, over its own connection. */
export interface Outsider {
  /** Publishes, and again until it is confirmed and routed. */
  publish(body: Buffer | object): Promise<void>;
  /** Takes the oldest message of a queue, waiting for it. */
  take(queue: string): Promise<ReadMessage>;
  /** Deletes a queue with all that is in it. */
  deleteQueue(queue: string): Promise<void>;
  close(): Promise<void>;
}

/** Connects as a producer and consumer would. */
export function connectOutsider(url: string, target: { exchange: string; routingKey: string }): Outsider {
  const connection = new Connection({ url, retryLow: 200, retryHigh: 1000 });
  connection.on("error", () => {});
  const publisher = connection.createPublisher({ confirm: true });
  let returned = 0;
  publisher.on("basic.return", () => {
    returned += 1;
  });
  return {
    async publish(body) {
      const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
      await until("a message is published", async () => {
        try {
          const before = returned;
          const sent = publisher.send({ ...target, durable: true, mandatory: true }, bytes);
          // The client forgets some messages of a connection that broke.
          if (!(await Promise.race([sent.then(() => true), delay(confirmTimeoutMs, false)]))) return null;
          // What no queue took is given back just before it is confirmed, and told in the next turn.
          await delay(1);
          return returned === before ? true : null;
        } catch {
          return null;
        }
      });
    },
    take: (queue) => until(`a message is in ${queue}`, () => takeNow(connection, queue)),
    async deleteQueue(queue) {
      await connection.queueDelete({ queue });
    },
    async close() {
      await publisher.close();
      await connection.close();
    },
  };
}

async function takeNow(connection: Connection, queue: string): Promise<ReadMessage | null> {
  const message = await connection.basicGet({ queue, noAck: true }).catch(() => undefined);
  if (message === undefined) return null;
  const { body, messageId, headers } = message;
  // The client parses what says that it is JSON.
  const bytes = Buffer.isBuffer(body)
    ? body
    : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  return { body: bytes, messageId: messageId ?? null, headers: headers ?? {} };
}

/** Looks again and again until `look` gives something. */
export async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  for (const end = Date.now() + patienceMs; Date.now() < end; await delay(pollMs)) {
    const found = await look();
    if (found !== null) return found;
  }
  return assert.fail(`it never came true that ${what}`);
}
