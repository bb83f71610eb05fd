import { setTimeout as delay } from "node:timers/promises";
import { backoffMs } from "../../core/backoff.ts";
import { type ErrorCode, errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { jsonProblem, requestJsonBounds } from "../../core/text/json-bounds.ts";
import {
  brokerLimits,
  type Delivery,
  type DeliveryHandler,
  type DeliveryOutcome,
} from "../../queue/broker.ts";
import { recordRejected } from "../../store/deliveries/rejected.ts";
import type { Admission } from "../accept/admission.ts";
import type { Context } from "../context.ts";
import { rejectedCodes } from "./messaging.ts";

/** The limits for holding a delivery while the store cannot be written. All in ms. */
export interface HoldLimits {
  /**
   * Maximum holding time: below the broker's own limit (`consumer_timeout`, 30 minutes), and long enough that
   * its 20 redeliveries of a message outlast any outage.
   */
  readonly holdMs: number;
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
}

const defaultLimits: HoldLimits = {
  holdMs: 600_000,
  firstPauseMs: 250,
  maxPauseMs: 2000,
};

/** Temporary errors of the store, independent of the message. */
const passingCodes: readonly ErrorCode[] = ["store_failed", "unavailable", "disk_full", "conflict", "locked"];

/** The dependencies of {@link createDeliveryHandler}. */
export interface DeliveryParts {
  readonly admission: Pick<Admission, "acceptDelivered">;
  /** Called when the store refused a delivery, which is held from then on. */
  readonly onStoreAway: (delivery: Delivery, error: unknown) => void;
  /** Called for each rejected message. */
  readonly onRejected: (code: ErrorCode) => void;
  /** Ends the holding when the host shuts down. */
  readonly signal: AbortSignal;
  readonly limits?: HoldLimits;
}

/**
 * Creates the handler of each message in the request queue. A message is acknowledged after its job is
 * committed, rejected when it can never become a job, and held for a limited time while the store is
 * unavailable.
 */
export function createDeliveryHandler(context: Context, parts: DeliveryParts): DeliveryHandler {
  const limits = parts.limits ?? defaultLimits;
  return async (delivery) => {
    const holdUntil = Date.now() + limits.holdMs;
    for (let failures = 1; ; failures += 1) {
      try {
        return await decideOnce(context, parts, delivery);
      } catch (error) {
        const isOver = parts.signal.aborted || context.phase !== "serving" || Date.now() >= holdUntil;
        if (isOver) return await giveUp(context, parts, { delivery, error });
        parts.onStoreAway(delivery, error);
        const pauseMs = backoffMs(failures, { firstMs: limits.firstPauseMs, maxMs: limits.maxPauseMs });
        await delay(pauseMs, undefined, { signal: parts.signal }).catch(() => {});
      }
    }
  };
}

/** Throws temporary errors. */
async function decideOnce(
  context: Context,
  parts: DeliveryParts,
  delivery: Delivery,
): Promise<DeliveryOutcome> {
  let input: unknown = null;
  try {
    input = parseBody(delivery);
    const { job, existed } = await parts.admission.acceptDelivered(input);
    context.log.debug({ jobId: job.id, requestId: job.request.request_id, existed }, "accepted a request");
    return { kind: "accepted" };
  } catch (error) {
    if (!isSolsticeError(error) || !rejectedCodes.includes(error.code)) throw error;
    return await reject(context, parts, { delivery, input, code: error.code, message: errorText(error) });
  }
}

function parseBody({ body, bodyBytes }: Delivery): unknown {
  const most = brokerLimits.messageBytes;
  if (bodyBytes > most) {
    throw new SolsticeError(
      "limit_exceeded",
      `The message has ${bodyBytes} bytes; a request has at most ${most}.`,
    );
  }
  const problem = jsonProblem(body, requestJsonBounds);
  if (problem !== null) throw new SolsticeError("usage", `The message cannot be read: it ${problem}.`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    throw new SolsticeError("usage", `The message is not JSON: ${errorText(error)}.`, { cause: error });
  }
}

interface Refusal {
  readonly delivery: Delivery;
  /** The parsed document; null when the body is not JSON. */
  readonly input: unknown;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Records the rejection first, so that the operator finds each logged rejection in the list. */
async function reject(context: Context, parts: DeliveryParts, refusal: Refusal): Promise<DeliveryOutcome> {
  const { delivery, code, message } = refusal;
  const requestId = requestIdOf(refusal.input);
  await recordRejected(context.store, {
    body: delivery.body,
    bodyBytes: delivery.bodyBytes,
    redelivered: delivery.redelivered,
    reason: code,
    message,
    requestId,
    hostId: context.identity.hostId,
    at: Date.now(),
  });
  parts.onRejected(code);
  context.log.warn({ code, requestId, reason: message.slice(0, 500) }, "rejected a broker message");
  return { kind: "rejected", code, message };
}

/** Reads the request id of a document of any form. */
function requestIdOf(input: unknown): string | null {
  if (typeof input !== "object" || input === null || !("request_id" in input)) return null;
  return typeof input.request_id === "string" ? input.request_id : null;
}

/**
 * A temporary error returns the message for another time or host; an error that persisted through all retries
 * is a defect.
 */
async function giveUp(
  context: Context,
  parts: DeliveryParts,
  held: { delivery: Delivery; error: unknown },
): Promise<DeliveryOutcome> {
  const { delivery, error } = held;
  const isTemporary = isSolsticeError(error) && passingCodes.includes(error.code);
  if (isTemporary || parts.signal.aborted || context.phase !== "serving") return { kind: "returned" };
  context.log.error({ err: error }, "message failed repeatedly");
  return await reject(context, parts, {
    delivery,
    input: null,
    code: "internal",
    message: "The orchestrator failed on this message; see its log.",
  });
}
