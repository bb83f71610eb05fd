import type { JobResult } from "../core/job/job-result.ts";

/** One message of the request queue, as it came. */
export interface Delivery {
  /** The bytes as they came: they may be anything, and at most {@link BrokerLimits.messageBytes}. */
  readonly body: Buffer;
  readonly contentType: string | null;
  /** True when the broker has given it out before. */
  readonly redelivered: boolean;
  /**
   * How many bytes the message has. More than `body.length` when it exceeds the limit: then `body` is only its beginning,
   * the handler is still asked so that it can record the message, and whatever it says, the message is rejected.
   */
  readonly bodyBytes: number;
}

/**
 * What became of a delivery.
 * - `accepted`: its job is on disk (or was already); it is acknowledged.
 * - `rejected`: it can never become a job; a copy goes to the dead-letter exchange with the reason in its headers, and
 *   once that is confirmed it is acknowledged.
 * - `returned`: not now and not here; it goes back to the queue for another host, after a pause. RabbitMQ gives up on a
 *   message that was returned 20 times (it is then dead-lettered), so this is not a way to wait: `pause()` is.
 */
export type DeliveryOutcome =
  | { readonly kind: "accepted" }
  | { readonly kind: "rejected"; readonly code: string; readonly message: string }
  | { readonly kind: "returned" };

/**
 * Decides about one delivery. It must not reject: what it throws counts as `returned`, and is logged. It must settle within
 * minutes: RabbitMQ takes back what is held for 30. At most `prefetch` run at once, also across reconnections.
 */
export type DeliveryHandler = (delivery: Delivery) => Promise<DeliveryOutcome>;

/** The running consumer of the request queue. It survives a broker that goes, comes back, or loses the queue. */
export interface Intake {
  /**
   * Stops taking deliveries: what waits stays in the broker for others. Resolves when those at hand are dealt with, so a
   * handler may call it but must not wait for it.
   */
  pause(): Promise<void>;
  /** Takes deliveries again. */
  resume(): void;
  /** As `pause()`, for ever and bounded: what is not dealt with in time goes back to the queue. */
  close(): Promise<void>;
}

/** RabbitMQ as the orchestrator uses it. */
export interface Broker {
  /** Whether it can be talked to now, in words for `/readyz`. */
  status(): BrokerStatus;
  /** Starts consuming. The topology is declared on each connect. */
  consume(handler: DeliveryHandler): Intake;
  /**
   * Resolves once the broker has confirmed the result. Rejects within {@link BrokerLimits.confirmTimeoutMs} otherwise:
   * `broker_unavailable`, `unroutable` (no queue for results could be declared) or `conflict` (the topology is refused).
   * It may have arrived even so; consumers tell a repetition by its `message-id`, which is the job's id.
   */
  publishResult(result: JobResult): Promise<void>;
  /** Closes the intake and the connections. Bounded; never rejects. */
  close(): Promise<void>;
}

/** How it stands with the broker. */
export interface BrokerStatus {
  readonly connected: boolean;
  /** One sentence; never with a password. */
  readonly message: string;
}

/** Named bounds of everything that waits, grows or repeats. */
export interface BrokerLimits {
  /** The largest message that may become a job: a valid request with every character escaped is below. */
  readonly messageBytes: number;
  /** From a publish until the broker's confirm, connecting included. */
  readonly confirmTimeoutMs: number;
  /** How long a returned delivery is held first, so that it cannot circle at full speed. */
  readonly returnPauseMs: number;
  /** Pauses between tries to consume: doubling from the first to the longest. */
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /** What closing may take. */
  readonly closeTimeoutMs: number;
}

/** The bounds unless a test says otherwise. */
export const brokerLimits: BrokerLimits = {
  messageBytes: 8 * 1024 * 1024,
  confirmTimeoutMs: 10_000,
  returnPauseMs: 1000,
  firstRetryMs: 200,
  longestRetryMs: 30_000,
  closeTimeoutMs: 10_000,
};

/** What the parts of this folder tell the operator; a pino logger fits. */
export interface BrokerLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}
