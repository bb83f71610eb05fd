import { setTimeout as sleep } from "node:timers/promises";
import type { AsyncMessage, Envelope } from "rabbitmq-client";
import { errorText, isSolsticeError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { BrokerLimits, Delivery, DeliveryHandler, DeliveryOutcome } from "../broker.ts";
import type { Settlement } from "./consumer-session.ts";
import { deadLetterEnvelope, plainDeadLetterEnvelope, type Refusal } from "./dead-letter.ts";

/** Options of {@link settleMessage}. */
export interface SettleOptions {
  readonly handler: DeliveryHandler;
  readonly deadLetterExchange: string;
  /** Resolves when the copy is confirmed and in a queue. */
  readonly publish: (envelope: Envelope, body: Buffer) => Promise<void>;
  readonly limits: BrokerLimits;
  readonly log: Log;
  /** Aborted when waits must end. */
  readonly signal: AbortSignal;
}

/** Runs the handler for one message, applies its outcome, and returns the instruction for the broker. Never rejects. */
export async function settleMessage(message: AsyncMessage, options: SettleOptions): Promise<Settlement> {
  const outcome = await decide(toDelivery(message, options.limits), options);
  if (outcome.kind === "accepted") return "ack";
  if (outcome.kind === "rejected") {
    const isKept = await deadLetter({ message, outcome, at: new Date() }, options);
    if (isKept) return "ack";
  }
  await sleep(options.limits.returnPauseMs, undefined, { signal: options.signal }).catch(() => undefined);
  return "requeue";
}

function toDelivery(message: AsyncMessage, { messageBytes }: BrokerLimits): Delivery {
  const body = bodyOf(message);
  return {
    body: body.subarray(0, messageBytes),
    bodyBytes: body.length,
    contentType: message.contentType ?? null,
    redelivered: message.redelivered ?? false,
  };
}

/**
 * Returns the bytes of a message. A channel delivers bytes (see raw-bodies.ts); a parsed body is a defect, and would be
 * forwarded changed.
 */
function bodyOf({ body }: AsyncMessage): Buffer {
  if (Buffer.isBuffer(body)) return body;
  throw new TypeError("a channel parsed a body");
}

async function decide(delivery: Delivery, { handler, limits, log }: SettleOptions): Promise<DeliveryOutcome> {
  try {
    const outcome = await handler(delivery);
    if (delivery.bodyBytes <= limits.messageBytes || outcome.kind === "rejected") return outcome;
    return {
      kind: "rejected",
      code: "limit_exceeded",
      message: `The message has ${delivery.bodyBytes} bytes; at most ${limits.messageBytes} are allowed.`,
    };
  } catch (error) {
    log.error({ err: error }, "delivery handler failed; the message goes back to the queue");
    return { kind: "returned" };
  }
}

/** True when the copy is confirmed. Otherwise the original must stay in its queue. */
async function deadLetter(refusal: Refusal, options: SettleOptions): Promise<boolean> {
  const { deadLetterExchange: exchange, publish, log } = options;
  const body = bodyOf(refusal.message);
  for (const envelope of [
    deadLetterEnvelope(exchange, refusal),
    plainDeadLetterEnvelope(exchange, refusal),
  ]) {
    try {
      await publish(envelope, body);
      return true;
    } catch (error) {
      const code = isSolsticeError(error) ? error.code : "internal";
      log.warn({ code, why: errorText(error) }, "dead-lettering a rejected message failed");
    }
  }
  return false;
}
