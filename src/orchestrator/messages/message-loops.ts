import type { Admission } from "../accept/admission.ts";
import type { Context } from "../context.ts";
import { startIntake } from "./intake.ts";
import { startOutboxLoop } from "./outbox-loop.ts";

/** How long a host that goes down waits for its results to be published, in ms. What is left waits in the store. */
const settleTimeoutMs = 10_000;

/** The two loops between broker and store. */
export interface MessageLoops {
  /** Takes no more requests; those at hand are dealt with when it resolves. */
  closeIntake(): Promise<void>;
  /** Lets results go out, for a bounded time, then ends. Like the other, it may be called again. */
  close(): Promise<void>;
}

/** Starts taking requests and publishing results. Without a broker there is nothing to do. */
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
