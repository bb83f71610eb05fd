import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { Broker } from "../queue/broker.ts";
import { openBroker } from "../queue/rabbitmq.ts";
import type { Admission } from "./admission.ts";
import type { Context, Log } from "./context.ts";
import { startIntake } from "./intake.ts";
import { startOutboxLoop } from "./outbox-loop.ts";

/** How long a host that goes down waits for its results to be published, in ms. What is left waits in the store. */
const settleTimeoutMs = 10_000;

/** What the rest of the orchestrator sees of the broker. */
export interface Messaging {
  readonly broker: Broker;
  /** How many messages this process refused, by code. */
  readonly rejected: Map<ErrorCode, number>;
}

/** The two loops between broker and store. */
export interface MessageLoops {
  /** Takes no more requests; those at hand are dealt with when it resolves. */
  closeIntake(): Promise<void>;
  /** Lets results go out, for a bounded time, then ends. Like the other, it may be called again. */
  close(): Promise<void>;
}

/** Connects to the broker, in the background; null where none is configured, and jobs come through the API only. */
export function openMessaging({ amqp }: OrchestratorConfig, log: Log): Messaging | null {
  if (amqp === null) return null;
  return { broker: openBroker({ ...amqp, log }), rejected: new Map() };
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
