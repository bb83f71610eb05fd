import { randomUUID } from "node:crypto";
import type { AmqpConfig } from "../../config/orchestrator-config.ts";
import type { Log } from "../../core/log.ts";
import type { Delivery, DeliveryOutcome } from "../broker.ts";

/** Configuration with names that no other test uses, on the broker at `url`. */
export function testConfig(url: string): AmqpConfig {
  const id = randomUUID().slice(0, 8);
  return { url, exchange: `jobs-${id}`, queue: `queue-${id}`, routingKey: "job.request", prefetch: 4 };
}

/** A log that keeps its lines. */
export interface KeptLog extends Log {
  readonly lines: string[];
}

/** Creates a log whose lines hold details and message as JSON. */
export function keepLog(): KeptLog {
  const lines: string[] = [];
  const keep = (details: object, message: string) => {
    lines.push(JSON.stringify({ ...details, message }, textOfErrors));
  };
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

function textOfErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.message} ${value.stack}` : value;
}

/** Creates a handler that records its deliveries and returns the outcome of `answer`. */
export function recordingHandler(answer: (text: string) => DeliveryOutcome | Promise<DeliveryOutcome>) {
  const deliveries: Delivery[] = [];
  const texts: string[] = [];
  return {
    deliveries,
    texts,
    handler: async (delivery: Delivery) => {
      deliveries.push(delivery);
      texts.push(delivery.body.toString());
      return answer(delivery.body.toString());
    },
  };
}
