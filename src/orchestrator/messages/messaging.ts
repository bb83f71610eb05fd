import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { Broker, BrokerLog } from "../../queue/broker.ts";
import { openBroker } from "../../queue/rabbitmq.ts";

/** What the rest of the orchestrator sees of the broker. */
export interface Messaging {
  readonly broker: Broker;
  /** How many messages this process refused, by code. */
  readonly rejected: Map<ErrorCode, number>;
}

/** Connects to the broker, in the background; null where none is configured, and jobs come through the API only. */
export function openMessaging({ amqp }: OrchestratorConfig, log: BrokerLog): Messaging | null {
  if (amqp === null) return null;
  return { broker: openBroker({ ...amqp, log }), rejected: new Map() };
}
