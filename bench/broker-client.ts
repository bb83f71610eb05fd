import { randomUUID } from "node:crypto";
import { Connection } from "rabbitmq-client";
import type { JobResult } from "../src/core/job/job-result.ts";
import { until } from "../test/support/until.ts";

/** The default names of an orchestrator. */
const names = {
  exchange: "solstice.jobs",
  queue: "solstice.jobs.v1",
  key: "job.request",
  result: "job.result",
};

/** A producer of requests and consumer of results that does not use the project's code. */
export interface BrokerClient {
  /** Publishes a request, persistent, and resolves with the broker's confirm. */
  publish(requestId: string): Promise<void>;
  /** Sets the listener for all later results. */
  onResult(listener: (result: JobResult) => void): void;
  close(): Promise<void>;
}

/** Connects. Resolves when an orchestrator has declared the request queue and consumes it. */
export async function openBrokerClient(url: string): Promise<BrokerClient> {
  const connection = new Connection(url);
  connection.on("error", () => {});
  await until("the request queue", () => countConsumers(connection));
  const publisher = connection.createPublisher({ confirm: true, maxAttempts: 1 });
  let listener: (result: JobResult) => void = () => {};
  const queue = `bench-${randomUUID()}`;
  const consumer = connection.createConsumer(
    {
      queue,
      queueOptions: { queue, exclusive: true },
      queueBindings: [{ exchange: names.exchange, routingKey: names.result }],
      qos: { prefetchCount: 500 },
    },
    ({ body }) =>
      listener(typeof body === "object" && !Buffer.isBuffer(body) ? body : JSON.parse(String(body))),
  );
  await new Promise((resolve) => consumer.once("ready", () => resolve(null)));
  return {
    async publish(requestId) {
      const { exchange, key } = names;
      await publisher.send({ exchange, routingKey: key, durable: true, mandatory: true }, request(requestId));
    },
    onResult(next) {
      listener = next;
    },
    async close() {
      await consumer.close();
      await publisher.close();
      await connection.close();
    },
  };
}

async function countConsumers(connection: Connection): Promise<number | null> {
  try {
    const { consumerCount } = await connection.queueDeclare({ queue: names.queue, passive: true });
    return consumerCount > 0 ? consumerCount : null;
  } catch {
    // The queue is not declared yet.
    return null;
  }
}

/** A request for one of twenty repositories, so that the scheduler's fair order has work. */
function request(requestId: string): object {
  const repository = `repository-${Number.parseInt(requestId.slice(0, 2), 16) % 20}`;
  return {
    schema_version: "jobrequest.v1",
    request_id: requestId,
    source: "bench",
    repo_owner: "bench",
    repo_name: repository,
    script: "true",
  };
}
