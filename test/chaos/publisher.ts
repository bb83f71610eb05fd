import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "rabbitmq-client";
import { type ReadMessage, takeNow } from "../support/servers/broker.ts";
import type { Message } from "./messages.ts";

/** Time limit for retries of one publish while the broker is unavailable, in ms: longer than any outage of a run. */
const apiRetryMs = 120_000;

/** Largest number of messages in flight. */
const inFlight = 16;

/**
 * Time after which an unconfirmed message counts as lost and is sent again, in ms: the client drops some messages of
 * a broken connection.
 */
const confirmTimeoutMs = 5000;

const retryPauseMs = 200;

/** The destination of published messages. */
export interface Target {
  readonly url: string;
  readonly exchange: string;
  readonly routingKey: string;
}

/**
 * Publishes as a producer would: confirmed and routed to a queue, with a retry when the outcome is unknown. Does not
 * use the product's own client. `signal` aborts.
 */
export async function publishAll(
  target: Target,
  options: { messages: readonly Message[]; pauseMs: number; signal?: AbortSignal },
): Promise<void> {
  const connection = new Connection({ url: target.url, retryLow: 200, retryHigh: 1000 });
  connection.on("error", () => {});
  const sender = createSender(connection, target, options.signal);
  const waiting = [...options.messages];
  const work = async () => {
    for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
      await sender.send(message);
      await delay(options.pauseMs * inFlight, undefined, { signal: options.signal });
    }
  };
  try {
    await Promise.all(Array.from({ length: inFlight }, work));
  } finally {
    await sender.close();
    await connection.close().catch(() => {});
  }
}

function createSender(connection: Connection, { exchange, routingKey }: Target, signal?: AbortSignal) {
  const publisher = connection.createPublisher({ confirm: true, maxAttempts: 1 });
  let returned = 0;
  publisher.on("basic.return", () => {
    returned += 1;
  });
  const isTaken = async ({ body, properties }: Message): Promise<boolean> => {
    const before = returned;
    const { headers, ...others } = properties;
    const envelope = { ...others, ...(headers && { headers: { ...headers } }) };
    // Mandatory: the broker must not confirm and drop a message that no queue accepts.
    const sent = publisher.send({ ...envelope, exchange, routingKey, mandatory: true }, body);
    const isConfirmed = await Promise.race([sent.then(() => true), delay(confirmTimeoutMs, false)]);
    // A message that no queue accepts is returned just before its confirmation, and the client reports it in the next
    // turn. The client does not say which message it was: all messages in flight are sent again.
    await delay(1);
    return isConfirmed && returned === before;
  };
  return {
    async send(message: Message): Promise<void> {
      for (const end = Date.now() + apiRetryMs; Date.now() < end; await delay(retryPauseMs)) {
        if (await isTaken(message).catch(() => false)) return;
        signal?.throwIfAborted();
      }
      throw new Error("a message could not be published");
    },
    close: () => publisher.close().catch(() => {}),
  };
}

/** Takes all messages out of a queue. */
export async function takeAll(url: string, queue: string): Promise<ReadMessage[]> {
  const connection = new Connection({ url });
  try {
    const taken: ReadMessage[] = [];
    for (;;) {
      const message = await takeNow(connection, queue);
      if (message === null) return taken;
      taken.push(message);
    }
  } finally {
    await connection.close();
  }
}

/** Deletes a queue with all its messages, as an operator might by mistake. */
export async function deleteQueue(url: string, queue: string): Promise<void> {
  const connection = new Connection({ url });
  try {
    await connection.queueDelete({ queue });
  } finally {
    await connection.close();
  }
}
