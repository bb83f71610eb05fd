import type { AmqpConfig } from "../config/orchestrator-config.ts";
import { isSolsticeError, SolsticeError } from "../core/errors.ts";
import type { JobRequest } from "../core/job-request.ts";
import { type BrokerLog, type BrokerStatus, brokerLimits } from "./broker.ts";
import { brokerErrorCode, shownBrokerUrl, toBrokerError } from "./broker-errors.ts";
import { type BrokerConnection, openConnection } from "./connection.ts";
import { createPublisher } from "./publisher.ts";

/** Where a request is published. */
export interface PublishOptions extends Pick<AmqpConfig, "url" | "exchange" | "routingKey"> {
  /** From the first dial to the broker's confirm; ten seconds unless given. */
  readonly timeoutMs?: number;
}

/** What publishing one message has no use for: every trouble is in the error. */
const silent: BrokerLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Publishes one request, persistent, and resolves once RabbitMQ has confirmed that it is in a queue. Declares nothing:
 * exchange and queue are the orchestrator's. Throws `unroutable` when there is no exchange or no queue for it, and
 * `broker_unavailable` at the first trouble with the connection.
 */
export async function publishRequest(options: PublishOptions, request: JobRequest): Promise<void> {
  const { url, timeoutMs = brokerLimits.confirmTimeoutMs } = options;
  const lost = Promise.withResolvers<never>();
  const onLost = (error: Error) => lost.reject(error);
  const connection = openConnection({ url, name: "solstice enqueue", log: silent, onLost });
  let closeTimeoutMs = timeoutMs;
  try {
    await Promise.race([publish(connection, options, request), lost.promise]);
  } catch (error) {
    // Who did not answer the message will not answer a farewell.
    closeTimeoutMs = 0;
    throw explain(error, options, connection.status());
  } finally {
    await connection.close(closeTimeoutMs);
  }
}

async function publish(
  connection: BrokerConnection,
  { exchange, routingKey, timeoutMs = brokerLimits.confirmTimeoutMs }: PublishOptions,
  request: JobRequest,
): Promise<void> {
  const publisher = createPublisher({ connection, confirmTimeoutMs: timeoutMs });
  const { request_id: messageId, schema_version: type } = request;
  const envelope = { exchange, routingKey, messageId, type, contentType: "application/json" };
  await publisher.publish(envelope, Buffer.from(JSON.stringify(request)));
  await publisher.close();
}

const unroutableRemedy =
  "Start an orchestrator with the same AMQP_EXCHANGE, AMQP_QUEUE and AMQP_ROUTING_KEY (it declares them), or correct " +
  "--amqp-exchange and --amqp-routing-key.";

function explain(error: unknown, options: PublishOptions, status: BrokerStatus): SolsticeError {
  const { url, exchange, routingKey } = options;
  const broker = shownBrokerUrl(url);
  if (isSolsticeError(error, "unroutable")) {
    return unroutable(
      `RabbitMQ at ${broker} has no queue for the exchange ${exchange} and the routing key ${routingKey}`,
    );
  }
  const known = toBrokerError(error, url);
  if (brokerErrorCode(known.cause) === "NOT_FOUND") {
    return unroutable(`RabbitMQ at ${broker} has no exchange ${exchange}`);
  }
  if (known.cause !== undefined) return known;
  // Too late: how it stood with the connection says why.
  return new SolsticeError("broker_unavailable", `${known.message} ${status.message}`, {
    remedy: "Look at RabbitMQ's own log and alarms (rabbitmq-diagnostics alarms), then try again.",
  });
}

function unroutable(what: string): SolsticeError {
  return new SolsticeError("unroutable", `${what}: the request was not taken.`, { remedy: unroutableRemedy });
}
