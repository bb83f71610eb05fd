import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Broker } from "../../queue/broker.ts";
import { openBroker } from "../../queue/rabbitmq.ts";

/** The broker, as the rest of the orchestrator uses it. */
export interface Messaging {
  readonly broker: Broker;
  /** Number of messages that this process rejected, by code. */
  readonly rejected: Map<ErrorCode, number>;
}

/** Errors of the message itself, or that no host can correct: the message is dead-lettered. */
export const rejectedCodes: readonly ErrorCode[] = [
  "usage",
  "unknown_label",
  "image_unavailable",
  "limit_exceeded",
];

/** Counts of 0 for each code from the start: an alarm needs an existing counter that grows. */
function nothingRejected(): Map<ErrorCode, number> {
  return new Map([...rejectedCodes, "internal" as const].map((code) => [code, 0]));
}

/**
 * Connects to the broker in the background; null when no broker is configured, and jobs come through the API
 * only.
 */
export function openMessaging({ amqp }: OrchestratorConfig, log: Log): Messaging | null {
  if (amqp === null) return null;
  return { broker: openBroker({ ...amqp, log }), rejected: nothingRejected() };
}
