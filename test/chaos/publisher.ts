import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "rabbitmq-client";

/** How long one publish is tried again while the broker is away: longer than any outage of a run. */
const patienceMs = 120_000;

/** How many messages may be on their way at once. */
const inFlight = 16;

/** Publishes as some producer would: persistent, confirmed, again when it is not sure. Not the product's own client. */
export async function publishAll(
  url: string,
  options: { exchange: string; routingKey: string; bodies: readonly Buffer[]; pauseMs: number },
): Promise<void> {
  const connection = new Connection({ url, retryLow: 200, retryHigh: 1000 });
  connection.on("error", () => {});
  const publisher = connection.createPublisher({ confirm: true, maxAttempts: 1 });
  const waiting = [...options.bodies];
  const work = async () => {
    for (let body = waiting.shift(); body !== undefined; body = waiting.shift()) {
      await publishUntilConfirmed(publisher, body, options);
      await delay(options.pauseMs * inFlight);
    }
  };
  try {
    await Promise.all(Array.from({ length: inFlight }, work));
  } finally {
    await publisher.close().catch(() => {});
    await connection.close().catch(() => {});
  }
}

type Publisher = ReturnType<Connection["createPublisher"]>;

async function publishUntilConfirmed(
  publisher: Publisher,
  body: Buffer,
  options: { exchange: string; routingKey: string },
): Promise<void> {
  const end = Date.now() + patienceMs;
  for (;;) {
    try {
      const { exchange, routingKey } = options;
      // Mandatory: a message that no queue takes must not be confirmed and forgotten.
      await publisher.send({ exchange, routingKey, durable: true, mandatory: true }, body);
      return;
    } catch (error) {
      if (Date.now() > end) throw new Error("a message could not be published", { cause: error });
      await delay(200);
    }
  }
}

/** A message taken from a queue. */
export interface Taken {
  readonly body: Buffer;
  readonly messageId: string | null;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Takes everything out of a queue. */
export async function takeAll(url: string, queue: string): Promise<Taken[]> {
  const connection = new Connection({ url });
  try {
    const taken: Taken[] = [];
    for (;;) {
      const message = await connection.basicGet({ queue, noAck: true });
      if (message === undefined) return taken;
      const { body, messageId, headers } = message;
      // The client decodes what says that it is JSON.
      const bytes = Buffer.isBuffer(body)
        ? body
        : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
      taken.push({ body: bytes, messageId: messageId ?? null, headers: headers ?? {} });
    }
  } finally {
    await connection.close();
  }
}
