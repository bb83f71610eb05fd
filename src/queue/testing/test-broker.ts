import { randomUUID } from "node:crypto";
import type { AmqpConfig } from "../../config/orchestrator-config.ts";
import type { BrokerLog, Delivery, DeliveryOutcome } from "../broker.ts";

/** Names that no other test uses, on the broker at `url`. */
export function testConfig(url: string): AmqpConfig {
  const id = randomUUID().slice(0, 8);
  return { url, exchange: `jobs-${id}`, queue: `queue-${id}`, routingKey: "job.request", prefetch: 4 };
}

/** A log that is kept. */
export interface KeptLog extends BrokerLog {
  readonly lines: string[];
}

/** A log whose lines hold details and message as JSON. */
export function keepLog(): KeptLog {
  const lines: string[] = [];
  const keep = (details: object, message: string) => {
    lines.push(JSON.stringify({ ...details, message }, textOfErrors));
  };
  return { lines, info: keep, warn: keep, error: keep };
}

function textOfErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.message} ${value.stack}` : value;
}

/** A handler that keeps what it was given and answers what `answer` says. */
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
