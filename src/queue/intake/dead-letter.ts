import type { AsyncMessage, Envelope } from "rabbitmq-client";
import type { DeliveryOutcome } from "../broker.ts";
import { fittingHeaders, frameBytesMax, propertiesBytes } from "../connection/frame-size.ts";
import { originalEncoding } from "../connection/raw-bodies.ts";

/** The longest message text in a header, in characters. */
const messageCharsMax = 1000;

/** The longest list of omitted headers, in characters, and its largest size in bytes, header name included. */
const leftOutChars = 200;
const leftOutBytes = 800;

/** Headers that would send the copy to further queues. */
const routingHeaders: readonly string[] = ["CC", "BCC"];

/** A rejected message, with the reason. */
export interface Refusal {
  readonly message: AsyncMessage;
  readonly outcome: Extract<DeliveryOutcome, { kind: "rejected" }>;
  readonly at: Date;
}

/**
 * Returns the properties of the copy for the dead-letter exchange: the original's, with the reason in headers.
 * Properties that would let the copy expire, route it elsewhere or make RabbitMQ refuse it for another user's name are
 * removed. Headers that do not fit in the frame are left out, the longest first, and their names are listed.
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
  const ours = reasonHeaders({ message, outcome, at });
  const envelope = { ...definedOnly(properties), exchange, routingKey: message.routingKey };
  const room = frameBytesMax - propertiesBytes({ ...envelope, headers: ours }) - leftOutBytes;
  const { kept, leftOut } = fittingHeaders(withoutRouting(message.headers), room);
  return { ...envelope, headers: { ...kept, ...ours, ...leftOutHeader(leftOut) } };
}

/**
 * Like {@link deadLetterEnvelope} with the reason's headers only: for originals whose headers cannot be sent on, such
 * as very long ones.
 */
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

function leftOutHeader(names: readonly string[]): Record<string, string> {
  if (names.length === 0) return {};
  const text = names.join(", ").slice(0, leftOutChars).toWellFormed();
  return { "x-solstice-headers-left-out": `${names.length}: ${text}` };
}

function withoutRouting(headers: AsyncMessage["headers"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !routingHeaders.includes(name)));
}

function definedOnly<Properties extends object>(properties: Properties): Partial<Properties> {
  return Object.fromEntries(
    Object.entries(properties).filter(([, value]) => value !== undefined && value !== null),
  ) as Partial<Properties>;
}
