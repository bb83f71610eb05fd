import type { JobResult } from "../core/job/job-result.ts";

/** One message of the request queue, unchanged. */
export interface Delivery {
  /** The bytes of the message, unchecked: any content, at most {@link BrokerLimits.messageBytes}. */
  readonly body: Buffer;
  readonly contentType: string | null;
  /** True when the broker has delivered the message before. */
  readonly redelivered: boolean;
  /**
   * Size of the whole message in bytes. When the size exceeds the limit, `body` holds only the beginning; the handler
   * still runs so that it can record the message, and the message is rejected whatever the handler returns.
   */
  readonly bodyBytes: number;
}

/**
 * Result of handling a delivery.
 * - `accepted`: the job is on disk (or was already); the delivery is acknowledged.
 * - `rejected`: the message can never become a job; a copy goes to the dead-letter exchange with the reason in its
 *   headers, and the delivery is acknowledged once that copy is confirmed.
 * - `returned`: this host cannot take the message now; it goes back to the queue for another host, after a pause.
 *   RabbitMQ dead-letters a message that was returned 20 times, so `returned` is not a way to wait: use `pause()`.
 */
export type DeliveryOutcome =
  | { readonly kind: "accepted" }
  | { readonly kind: "rejected"; readonly code: string; readonly message: string }
  | { readonly kind: "returned" };

/**
 * Decides about one delivery. The handler must not reject: an error counts as `returned`, and is logged. It must settle
 * within minutes, because RabbitMQ takes back an unacknowledged delivery after 30. At most `prefetch` handlers run at
 * once, also across reconnections.
 */
export type DeliveryHandler = (delivery: Delivery) => Promise<DeliveryOutcome>;

/** The running consumer of the request queue. It recovers from a lost connection and from a deleted queue. */
export interface Intake {
  /**
   * Stops taking deliveries; waiting messages stay in the broker for other hosts. Resolves when the in-flight
   * deliveries are settled, so a handler may call `pause()` but must not wait for it.
   */
  pause(): Promise<void>;
  /** Starts taking deliveries again. */
  resume(): void;
  /** Stops for ever, within a time limit: deliveries that are not settled in time go back to the queue. */
  close(): Promise<void>;
}

/** The orchestrator's client of RabbitMQ. */
export interface Broker {
  /** The state of the connection, with a message for `/readyz`. */
  status(): BrokerStatus;
  /** Starts consuming. Each connection declares the topology. */
  consume(handler: DeliveryHandler): Intake;
  /**
   * Resolves once the broker has confirmed the result. Otherwise rejects within {@link BrokerLimits.confirmTimeoutMs}:
   * `broker_unavailable`, `unroutable` (no queue for results could be declared) or `conflict` (RabbitMQ refuses the
   * topology). A rejected result may have been published even so; consumers detect a repeated result by its
   * `message-id`, the job's id.
   */
  publishResult(result: JobResult): Promise<void>;
  /** Closes the intake and the connections, within a time limit. Never rejects. */
  close(): Promise<void>;
}

/** State of the connection to the broker. */
export interface BrokerStatus {
  readonly connected: boolean;
  /** One sentence, never with a password. */
  readonly message: string;
}

/** Limits and pauses of the broker's client. */
export interface BrokerLimits {
  /** The largest message that may become a job; a valid request with every character escaped is smaller. */
  readonly messageBytes: number;
  /** Time from a publish until the broker's confirm, connecting included. */
  readonly confirmTimeoutMs: number;
  /** Time that a returned delivery is kept before it goes back, so that it does not circulate at full speed. */
  readonly returnPauseMs: number;
  /** Backoff between attempts to consume: doubles from the first pause to the longest. */
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /** Time limit for closing. */
  readonly closeTimeoutMs: number;
}

/** The default limits. */
export const brokerLimits: BrokerLimits = {
  messageBytes: 8 * 1024 * 1024,
  confirmTimeoutMs: 10_000,
  returnPauseMs: 1000,
  firstRetryMs: 200,
  longestRetryMs: 30_000,
  closeTimeoutMs: 10_000,
};
