import type { JobResult } from "../core/job-result.ts";

/** One message of the request queue, as it came. */
export interface Delivery {
  /** The bytes as they came: they may be anything. */
  readonly body: Buffer;
  readonly contentType: string | null;
  /** True when the broker has given it out before. */
  readonly redelivered: boolean;
}

/**
 * What became of a delivery.
 * - `accepted`: its job is on disk (or was already); it is acknowledged.
 * - `rejected`: it can never become a job; a copy goes to the dead-letter exchange with the reason in its headers, and
 *   once that is confirmed it is acknowledged.
 * - `returned`: not now and not here; it goes back to the queue for another host.
 */
export type DeliveryOutcome =
  | { readonly kind: "accepted" }
  | { readonly kind: "rejected"; readonly code: string; readonly message: string }
  | { readonly kind: "returned" };

/** Decides about one delivery. It must not reject: what it throws counts as `returned`, and is logged. */
export type DeliveryHandler = (delivery: Delivery) => Promise<DeliveryOutcome>;

/** The running consumer of the request queue. It survives a broker that goes, comes back, or loses the queue. */
export interface Intake {
  /** Stops taking deliveries: what waits stays in the broker for others. Resolves when those at hand are dealt with. */
  pause(): Promise<void>;
  /** Takes deliveries again. */
  resume(): void;
  close(): Promise<void>;
}

/** RabbitMQ as the orchestrator uses it. */
export interface Broker {
  /** Whether it can be talked to now, in words for `/readyz`. */
  status(): { readonly connected: boolean; readonly message: string };
  /** Starts consuming. The topology is declared on each connect. */
  consume(handler: DeliveryHandler): Intake;
  /** Resolves once the broker has confirmed the result; rejects with `broker_unavailable` when it has not. */
  publishResult(result: JobResult): Promise<void>;
  close(): Promise<void>;
}
