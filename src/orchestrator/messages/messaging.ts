import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Broker } from "../../queue/broker.ts";
import { openBroker } from "../../queue/rabbitmq.ts";

/** What the rest of the orchestrator sees of the broker. */
export interface Messaging {
  readonly broker: Broker;
  /** How many messages this process refused, by code. */
  readonly rejected: Map<ErrorCode, number>;
}

/** Errors that are the message's own fault, or that no host can correct: it goes to the dead letters. */
export const rejectedCodes: readonly ErrorCode[] = [
  "usage",
  "unknown_label",
  "image_unavailable",
  "limit_exceeded",
];

/** From the start on each code is there, with 0: an alarm sees a number that grows, not one that appears. */
function nothingRejected(): Map<ErrorCode, number> {
  return new Map([...rejectedCodes, "internal" as const].map((code) => [code, 0]));
}

/** Connects to the broker, in the background; null where none is configured, and jobs come through the API only. */
export function openMessaging({ amqp }: OrchestratorConfig, log: Log): Messaging | null {
  if (amqp === null) return null;
  return { broker: openBroker({ ...amqp, log }), rejected: nothingRejected() };
}
