import type { AmqpConfig } from "../../config/orchestrator-config.ts";
import { isSolsticeError, SolsticeError } from "../../core/errors.ts";
import type { JobRequest } from "../../core/request/job-request.ts";
import { brokerLimits } from "../broker.ts";
import { brokerErrorCode, shownBrokerUrl, toBrokerError } from "../connection/broker-errors.ts";
import type { BrokerConnection } from "../connection/connection.ts";
import { withConnection } from "../connection/one-connection.ts";
import { createPublisher } from "./publisher.ts";

/** Options of {@link publishRequest}. */
export interface PublishOptions extends Pick<AmqpConfig, "url" | "exchange" | "routingKey"> {
  /** Time limit from the first connect to the broker's confirm; ten seconds by default. */
  readonly timeoutMs?: number;
}

/**
 * Publishes one persistent request, and resolves once RabbitMQ has confirmed that it is in a queue. Declares nothing:
 * the orchestrator declares exchange and queue. Throws `unroutable` when the exchange or a queue for the request is
 * missing, and `broker_unavailable` at the first failure of the connection.
 */
export async function publishRequest(options: PublishOptions, request: JobRequest): Promise<void> {
  const { url, timeoutMs } = options;
  try {
    await withConnection({ url, name: "solstice enqueue", ...(timeoutMs && { timeoutMs }) }, (connection) =>
      publish(connection, options, request),
    );
  } catch (error) {
    throw explain(error, options);
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

function explain(error: unknown, options: PublishOptions): SolsticeError {
  const { url, exchange, routingKey } = options;
  const broker = shownBrokerUrl(url);
  if (isSolsticeError(error, "unroutable")) {
    return unroutable(
      `RabbitMQ at ${broker} has no queue for the exchange ${exchange} and the routing key ${routingKey}`,
    );
  }
  const known = toBrokerError(error, url);
  if (brokerErrorCode(known.cause) !== "NOT_FOUND") return known;
  return unroutable(`RabbitMQ at ${broker} has no exchange ${exchange}`);
}

function unroutable(what: string): SolsticeError {
  return new SolsticeError("unroutable", `${what}: the request was not accepted.`, {
    remedy: unroutableRemedy,
  });
}
