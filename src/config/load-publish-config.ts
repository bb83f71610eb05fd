import { invalid } from "./load-orchestrator-config.ts";
import { publishOptions } from "./options/options.ts";
import { type Environment, type RawFlags, readOptions } from "./options/read-options.ts";
import type { AmqpConfig } from "./orchestrator-config.ts";

/** Where a producer publishes requests. */
export type PublishConfig = Pick<AmqpConfig, "url" | "exchange" | "routingKey">;

/** The broker to publish to, or null where none is configured. Throws `config_invalid` with every problem. */
export function loadPublishConfig(flags: RawFlags, env: Environment): PublishConfig | null {
  const { values, problems } = readOptions(publishOptions, flags, env);
  const { amqpUrl, amqpExchange, amqpRoutingKey } = values;
  if (problems.length > 0 || amqpExchange === undefined || amqpRoutingKey === undefined)
    throw invalid(problems);
  if (amqpUrl === null || amqpUrl === undefined) return null;
  return Object.freeze({ url: amqpUrl, exchange: amqpExchange, routingKey: amqpRoutingKey });
}
