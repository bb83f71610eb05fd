import type { Channel } from "rabbitmq-client";
import type { AmqpConfig } from "../config/orchestrator-config.ts";
import { brokerLimits } from "./broker.ts";
import { bounded } from "./connection/bounded.ts";
import { brokerErrorCode, shownBrokerUrl } from "./connection/broker-errors.ts";
import type { BrokerConnection } from "./connection/connection.ts";
import { withConnection } from "./connection/one-connection.ts";
import { declareExchange, declareQueue, topologyOf } from "./connection/topology.ts";

/** Result of {@link examineBroker}. */
export interface BrokerExamination {
  /** The broker's URL without the password. */
  readonly shownUrl: string;
  /** Exchanges and queues of Solstice that do not exist yet. The first orchestrator declares them. */
  readonly missing: readonly string[];
}

/**
 * Checks that an orchestrator with this configuration could work with RabbitMQ. Creates nothing: only exchanges and
 * queues that exist are declared once more, and RabbitMQ then reports a difference or a missing permission. Throws
 * `broker_unavailable` or `conflict`, with the remedy.
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

/** Returns the names of missing exchanges and queues, and declares the existing ones once more. */
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
  declarePassively: (channel: Channel) => Promise<unknown>,
): Promise<boolean> {
  try {
    await onChannel(connection, declarePassively);
    return true;
  } catch (error) {
    if (brokerErrorCode(error) !== "NOT_FOUND") throw error;
    return false;
  }
}

/** Opens a channel per call, because a refusal closes the channel. */
async function onChannel(
  connection: BrokerConnection,
  work: (channel: Channel) => Promise<unknown>,
): Promise<void> {
  const channel = await connection.openChannel();
  await work(channel);
  await channel.close();
}
