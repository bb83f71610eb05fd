import type { Admission } from "../accept/admission.ts";
import type { Context } from "../context.ts";
import { startIntake } from "./intake.ts";
import { startOutboxLoop } from "./outbox-loop.ts";

/**
 * Maximum time that a stopping host waits for the publication of its results, in ms. Unpublished results wait
 * in the store.
 */
const settleTimeoutMs = 10_000;

/** The two loops between broker and store. */
export interface MessageLoops {
  /** Stops consuming requests; resolves when the deliveries in flight are settled. */
  closeIntake(): Promise<void>;
  /** Publishes results for a limited time, then ends. Idempotent, like the other. */
  close(): Promise<void>;
}

/** Starts consuming requests and publishing results. Does nothing without a broker. */
export function startMessageLoops(context: Context, admission: Admission): MessageLoops {
  if (context.messaging === null) return { closeIntake: async () => {}, close: async () => {} };
  const { broker, rejected } = context.messaging;
  const outbox = startOutboxLoop(context, broker);
  const intake = startIntake(context, {
    broker,
    admission,
    onRejected: (code) => rejected.set(code, (rejected.get(code) ?? 0) + 1),
  });
  return {
    closeIntake: () => intake.close(),
    async close() {
      await intake.close();
      await outbox.close({ settleTimeoutMs });
    },
  };
}
