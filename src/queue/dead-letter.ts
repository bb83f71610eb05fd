import type { AsyncMessage, Envelope } from "rabbitmq-client";
import type { DeliveryOutcome } from "./broker.ts";
import { originalEncoding } from "./raw-bodies.ts";

/** The longest sentence that a header carries. */
const messageCharsMax = 1000;

/** Headers that would send the copy to further queues. */
const routingHeaders: readonly string[] = ["CC", "BCC"];

/** A refused message, and why. */
export interface Refusal {
  readonly message: AsyncMessage;
  readonly outcome: Extract<DeliveryOutcome, { kind: "rejected" }>;
  readonly at: Date;
}

/**
 * The properties of the copy that goes to the dead-letter exchange: the original's, without those that would let it expire,
 * go elsewhere or be refused for another user's name, and with the reason in headers.
 */
export function deadLetterEnvelope(exchange: string, { message, outcome, at }: Refusal): Envelope {
  const { contentType, correlationId, replyTo, messageId, timestamp, type, appId, priority } = message;
  const contentEncoding = originalEncoding(message.contentEncoding);
  const properties = {
    contentType,
    contentEncoding,
    correlationId,
    replyTo,
    messageId,
    timestamp,
    type,
    appId,
    priority,
  };
  const headers = {
    ...withoutRouting(message.headers),
    ...reasonHeaders({ message, outcome, at }),
  };
  return { ...definedOnly(properties), exchange, routingKey: message.routingKey, headers };
}

/** The same with our headers only: for originals whose headers cannot be sent on, such as very long ones. */
export function plainDeadLetterEnvelope(exchange: string, refusal: Refusal): Envelope {
  return { exchange, routingKey: refusal.message.routingKey, headers: reasonHeaders(refusal) };
}

function reasonHeaders({ message, outcome, at }: Refusal) {
  return {
    "x-solstice-reason": outcome.code,
    "x-solstice-message": outcome.message.slice(0, messageCharsMax).toWellFormed(),
    "x-solstice-rejected-at": at.toISOString(),
    "x-solstice-exchange": message.exchange,
    "x-solstice-routing-key": message.routingKey,
  };
}

function withoutRouting(headers: AsyncMessage["headers"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !routingHeaders.includes(name)));
}

function definedOnly<Properties extends object>(properties: Properties): Partial<Properties> {
  return Object.fromEntries(
    Object.entries(properties).filter(([, value]) => value !== undefined && value !== null),
  ) as Partial<Properties>;
}
