import type { AsyncMessage, Envelope } from "rabbitmq-client";
import type { DeliveryOutcome } from "../broker.ts";
import { fittingHeaders, frameBytesMax, propertiesBytes } from "../connection/frame-size.ts";
import { originalEncoding } from "../connection/raw-bodies.ts";

/** The longest sentence that a header carries. */
const messageCharsMax = 1000;

/** The longest list of headers that were left out, and what it takes with its name and in any alphabet. */
const leftOutChars = 200;
const leftOutBytes = 800;

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
 * go elsewhere or be refused for another user's name, and with the reason in headers. Headers that do not fit in the frame beside that are
 * left out, the longest first, and named.
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
