import { invalid } from "./load-orchestrator-config.ts";
import { publishOptions } from "./options/options.ts";
import { type Environment, type RawFlags, readOptions } from "./options/read-options.ts";
import type { AmqpConfig } from "./orchestrator-config.ts";

/** The broker that a producer publishes requests to. */
export type PublishConfig = Pick<AmqpConfig, "url" | "exchange" | "routingKey">;

/** The broker to publish to, or null if none is configured. Throws `config_invalid` with all problems. */
export function loadPublishConfig(flags: RawFlags, env: Environment): PublishConfig | null {
  const { values, problems } = readOptions(publishOptions, flags, env);
  const { amqpUrl, amqpExchange, amqpRoutingKey } = values;
  if (problems.length > 0 || amqpExchange === undefined || amqpRoutingKey === undefined)
    throw invalid(problems);
  if (amqpUrl === null || amqpUrl === undefined) return null;
  return Object.freeze({ url: amqpUrl, exchange: amqpExchange, routingKey: amqpRoutingKey });
}
