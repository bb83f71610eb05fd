import type { Channel } from "rabbitmq-client";
import type { AmqpConfig } from "../config/orchestrator-config.ts";
import { brokerLimits } from "./broker.ts";
import { bounded } from "./connection/bounded.ts";
import { brokerErrorCode, shownBrokerUrl } from "./connection/broker-errors.ts";
import type { BrokerConnection } from "./connection/connection.ts";
import { withConnection } from "./connection/one-connection.ts";
import { declareExchange, declareQueue, topologyOf } from "./connection/topology.ts";

/** What {@link examineBroker} saw. */
export interface BrokerExamination {
  /** Where it is, without the password. */
  readonly shownUrl: string;
  /** Our exchanges and queues that are not there yet. The first orchestrator declares them. */
  readonly missing: readonly string[];
}

/**
 * Looks whether an orchestrator with this configuration could work with RabbitMQ. Creates nothing: only those exchanges and
 * queues that are there are declared once more, which RabbitMQ answers with what differs or is not allowed.
 * Throws `broker_unavailable` or `conflict`, with the remedy.
 */
export async function examineBroker(
  config: AmqpConfig,
  { timeoutMs = brokerLimits.confirmTimeoutMs }: { timeoutMs?: number } = {},
): Promise<BrokerExamination> {
  const { url } = config;
  const missing = await withConnection({ url, name: "solstice doctor", timeoutMs }, (connection) =>
    bounded(examine(connection, config), { milliseconds: timeoutMs, what: "RabbitMQ's answer" }),
  );
  return { shownUrl: shownBrokerUrl(url), missing };
}

/** Names what is missing, and declares once more what is there. */
async function examine(connection: BrokerConnection, config: AmqpConfig): Promise<string[]> {
  const { exchanges, queues } = topologyOf(config);
  const missing: string[] = [];
  for (const definition of exchanges) {
    const { exchange } = definition;
    const isThere = await exists(connection, (channel) =>
      channel.exchangeDeclare({ exchange, passive: true }),
    );
    if (isThere) await onChannel(connection, (channel) => declareExchange(channel, config, definition));
    else missing.push(`exchange ${exchange}`);
  }
  for (const definition of queues) {
    const { queue } = definition;
    const isThere = await exists(connection, (channel) => channel.queueDeclare({ queue, passive: true }));
    if (isThere) await onChannel(connection, (channel) => declareQueue(channel, config, definition));
    else missing.push(`queue ${queue}`);
  }
  return missing;
}

async function exists(
  connection: BrokerConnection,
  ask: (channel: Channel) => Promise<unknown>,
): Promise<boolean> {
  try {
    await onChannel(connection, ask);
    return true;
  } catch (error) {
    if (brokerErrorCode(error) !== "NOT_FOUND") throw error;
    return false;
  }
}

/** A channel for each question: a refusal closes it. */
async function onChannel(
  connection: BrokerConnection,
  work: (channel: Channel) => Promise<unknown>,
): Promise<void> {
  const channel = await connection.openChannel();
  await work(channel);
  await channel.close();
}
