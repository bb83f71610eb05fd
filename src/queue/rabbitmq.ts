import type { Envelope } from "rabbitmq-client";
import type { AmqpConfig } from "../config/orchestrator-config.ts";
import { isSolsticeError } from "../core/errors.ts";
import type { JobResult } from "../core/job/job-result.ts";
import type { Log } from "../core/log.ts";
import {
  type Broker,
  type BrokerLimits,
  type BrokerStatus,
  brokerLimits,
  type DeliveryHandler,
  type Intake,
} from "./broker.ts";
import { type BrokerConnection, openConnection } from "./connection/connection.ts";
import { deadLetterExchange, declareTopology, resultRoutingKey } from "./connection/topology.ts";
import { startIntake } from "./intake/intake.ts";
import { settleMessage } from "./intake/settle.ts";
import { createPublisher, type Publisher } from "./publish/publisher.ts";

/** Options of {@link openBroker}. */
export interface BrokerOptions extends AmqpConfig {
  readonly log: Log;
  readonly limits?: Partial<BrokerLimits>;
}

/**
 * Opens the orchestrator's client of RabbitMQ. Returns at once, and connects and reconnects in the background. There
 * are two connections, so that deliveries can be acknowledged while RabbitMQ accepts no messages because memory or disk
 * is short.
 */
export function openBroker({ log, limits: given, ...config }: BrokerOptions): Broker {
  const limits: BrokerLimits = { ...brokerLimits, ...given };
  const parts = openParts(config, { log, limits });
  let trouble: string | null = null;
  const intakes: Intake[] = [];
  return {
    status: () => statusOf(parts, trouble),
    consume(handler) {
      const onTrouble = (message: string | null) => {
        trouble = message;
      };
      const intake = consume(handler, { config, limits, log, onTrouble, ...parts });
      intakes.push(intake);
      return intake;
    },
    publishResult: (result) => publishResult(parts.resultPublisher, config, result),
    async close() {
      await Promise.all(intakes.map((intake) => intake.close()));
      await Promise.all([parts.resultPublisher.close(), parts.deadLetterPublisher.close()]);
      await Promise.all([
        parts.intakeConnection.close(limits.closeTimeoutMs),
        parts.publishConnection.close(limits.closeTimeoutMs),
      ]);
    },
  };
}

interface Parts {
  readonly intakeConnection: BrokerConnection;
  readonly publishConnection: BrokerConnection;
  readonly resultPublisher: Publisher;
  /** Has a channel of its own: a foreign message may end the channel, and in-flight results would then be sent again. */
  readonly deadLetterPublisher: Publisher;
}

function openParts(config: AmqpConfig, { log, limits }: { log: Log; limits: BrokerLimits }): Parts {
  const { url } = config;
  const publishConnection = openConnection({ url, name: "solstice orchestrator: publish", log });
  const openPublisher = () =>
    createPublisher({
      connection: publishConnection,
      confirmTimeoutMs: limits.confirmTimeoutMs,
      prepare: (channel) => declareTopology(channel, config),
    });
  return {
    intakeConnection: openConnection({ url, name: "solstice orchestrator: intake", log }),
    publishConnection,
    resultPublisher: openPublisher(),
    deadLetterPublisher: openPublisher(),
  };
}

function statusOf({ intakeConnection, publishConnection }: Parts, trouble: string | null): BrokerStatus {
  const statuses = [intakeConnection.status(), publishConnection.status()];
  const bad = statuses.find(({ connected }) => !connected);
  if (bad) return bad;
  if (trouble !== null) return { connected: false, message: trouble };
  return intakeConnection.status();
}

interface ConsumeOptions extends Parts {
  readonly config: AmqpConfig;
  readonly limits: BrokerLimits;
  readonly log: Log;
  readonly onTrouble: (message: string | null) => void;
}

function consume(handler: DeliveryHandler, options: ConsumeOptions): Intake {
  const { config, limits, log, deadLetterPublisher, onTrouble } = options;
  const closing = new AbortController();
  const settleOptions = {
    handler,
    deadLetterExchange: deadLetterExchange(config),
    publish: (envelope: Envelope, body: Buffer) => publishRouted(deadLetterPublisher, envelope, body),
    limits,
    log,
    signal: closing.signal,
  };
  const intake = startIntake({
    connection: options.intakeConnection,
    queue: config.queue,
    prefetch: config.prefetch,
    prepare: (channel) => declareTopology(channel, config),
    settle: (message) => settleMessage(message, settleOptions),
    answerTimeoutMs: limits.confirmTimeoutMs,
    limits,
    log,
    onTrouble,
  });
  return {
    ...intake,
    close() {
      closing.abort();
      return intake.close();
    },
  };
}

async function publishResult(publisher: Publisher, config: AmqpConfig, result: JobResult): Promise<void> {
  const envelope: Envelope = {
    exchange: config.exchange,
    routingKey: resultRoutingKey,
    messageId: result.job_id,
    correlationId: result.request_id,
    type: result.schema_version,
    contentType: "application/json",
  };
  await publishRouted(publisher, envelope, Buffer.from(JSON.stringify(result)));
}

/** Publishes, and retries once when unroutable: a queue may have been deleted, and the next channel declares it again. */
async function publishRouted(publisher: Publisher, envelope: Envelope, body: Buffer): Promise<void> {
  try {
    await publisher.publish(envelope, body);
  } catch (error) {
    if (!isSolsticeError(error, "unroutable")) throw error;
    await publisher.publish(envelope, body);
  }
}
