import { type ErrorCode, errorText } from "../../core/errors.ts";
import { decideIntake, type IntakePause } from "../../core/schedule/intake-pause.ts";
import type { Broker, Delivery, Intake } from "../../queue/broker.ts";
import type { Admission } from "../accept/admission.ts";
import type { Context } from "../context.ts";
import { startLoop } from "../loop.ts";
import { createDeliveryHandler } from "./take-delivery.ts";

/** Milliseconds between checks of the intake while it is open, and while it is paused. */
const openPollMs = 500;
const heldPollMs = 250;

/** The consumer of requests, opened and closed with the capacity of the host. */
export interface IntakeLoop {
  /** The reason of the pause; null while requests are consumed. */
  held(): IntakePause | null;
  /** Stops consuming; resolves when the deliveries in flight are settled. Idempotent. */
  close(): Promise<void>;
}

/** The dependencies of {@link startIntake} in addition to the context. */
export interface IntakeParts {
  readonly broker: Pick<Broker, "consume">;
  readonly admission: Admission;
  /** Called for each rejected message. */
  readonly onRejected: (code: ErrorCode) => void;
}

/**
 * Starts consuming requests from the broker. While the store is full or unavailable, and when the host shuts
 * down, requests stay there for other hosts; each change is logged once.
 */
export function startIntake(context: Context, parts: IntakeParts): IntakeLoop {
  const { broker, admission } = parts;
  const ending = new AbortController();
  let held: IntakePause | null = null;
  let trouble: unknown = null;
  /** Deliveries that the store refused: a store that can be read may still fail to write. */
  const troubled = new Set<Delivery>();

  const hold = (next: IntakePause | null) => {
    if (next === held) return;
    if (held === null) void intake.pause();
    held = next;
    context.log[next === "store_away" ? "warn" : "info"](
      { held: next, ...(next === "store_away" && { err: trouble }) },
      next === null ? "consuming requests from the broker again" : sentences[next],
    );
    if (next === null) intake.resume();
  };

  const reconsider = async () => {
    const counted = await admission.capacity.waiting().catch((error: unknown) => {
      trouble = error;
      return null;
    });
    const waiting = troubled.size > 0 ? null : counted;
    hold(
      decideIntake({
        phase: context.phase,
        draining: context.drainRecord.since() !== null,
        waiting,
        limit: admission.capacity.limit,
        held,
      }),
    );
  };

  const handle = createDeliveryHandler(context, {
    admission,
    onRejected: parts.onRejected,
    signal: ending.signal,
    onStoreAway: (delivery, error) => {
      trouble = error;
      troubled.add(delivery);
      context.log.debug({ reason: errorText(error) }, "delivery held: the store refused it");
      if (held === null) hold("store_away");
    },
  });
  const intake: Intake = broker.consume(async (delivery) => {
    const outcome = await handle(delivery);
    troubled.delete(delivery);
    // Not at the next poll: until then a fast broker would have filled the store far beyond its limit.
    if (held === null) await reconsider();
    return outcome;
  });
  const loop = startLoop({
    name: "intake",
    log: context.log,
    run: async () => {
      await reconsider();
      return held === null ? openPollMs : heldPollMs;
    },
  });
  let closing: Promise<void> | null = null;
  const close = async () => {
    await loop.stop();
    hold("going_down");
    ending.abort();
    await intake.close();
  };
  return {
    held: () => held,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

const sentences: Readonly<Record<IntakePause, string>> = {
  going_down: "not consuming requests from the broker: this host is shutting down",
  draining: "not consuming requests from the broker: this host is draining",
  store_away: "not consuming requests from the broker: the store is unavailable",
  full: "not consuming requests from the broker: the queue is full (MAX_QUEUED)",
};
