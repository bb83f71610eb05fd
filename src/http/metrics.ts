import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** What the orchestrator tells Prometheus. Gauges are set by whoever knows; nothing is measured here. */
export interface Metrics {
  readonly registry: Registry;
  /** 1 while the store answers, else 0; then what is read from it is absent. */
  readonly storeUp: Gauge;
  /** Jobs by `state`. */
  readonly jobs: Gauge<"state">;
  /** Machines by `state`. */
  readonly machines: Gauge<"state">;
  /** Slots by `kind`: `max` (the cap) and `used`. */
  readonly slots: Gauge<"kind">;
  /** How many jobs may wait in the store. */
  readonly queuedLimit: Gauge;
  /** Bytes free where jobs write. */
  readonly diskFree: Gauge;
  /** 1 while this host starts no jobs for want of something, else 0. */
  readonly paused: Gauge;
  /** Bytes that all logs take in the store, as last counted. */
  readonly storeLogBytes: Gauge;
  /** What retention removed since the start, by `kind`: `jobs`, `logs`, `images`. */
  readonly retentionRemoved: Counter<"kind">;
  /** 1 for each `image` that is ready, else 0. */
  readonly imagesReady: Gauge<"image">;
  /** What the last audit left, by `kind`. */
  readonly leaks: Gauge<"kind">;
  /** What audits have corrected since the start, by `kind`. */
  readonly leaksRepaired: Counter<"kind">;
  /** When the last audit ended, in seconds since the epoch. */
  readonly lastAudit: Gauge;
}

/** A registry of its own (nothing global) with the process's memory, event loop and garbage collection. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = <L extends string>(name: string, help: string, label: L) =>
    new Gauge<L>({ name, help, labelNames: [label], registers: [registry] });
  const plain = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  return {
    registry,
    storeUp: plain("solstice_store_up", "Whether the store answers (1) or not (0)"),
    jobs: gauge("solstice_jobs", "Jobs of this host by state", "state"),
    machines: gauge("solstice_machines", "Machines of this host by state", "state"),
    slots: gauge(
      "solstice_slots",
      "Job slots of this host: max and used; on_hold: guests that are kept beside them",
      "kind",
    ),
    queuedLimit: plain(
      "solstice_queued_limit",
      "How many jobs may wait in the store before no more are taken",
    ),
    diskFree: plain("solstice_disk_free_bytes", "Bytes free in the data directory"),
    paused: plain("solstice_paused", "Whether this host starts no jobs, such as for want of disk space (1)"),
    storeLogBytes: plain("solstice_store_log_bytes", "Bytes that all logs take in the store, counted hourly"),
    retentionRemoved: new Counter({
      name: "solstice_retention_removed_total",
      help: "What retention removed since the start",
      labelNames: ["kind"],
      registers: [registry],
    }),
    imagesReady: gauge("solstice_image_ready", "Whether an image is ready (1) or not (0)", "image"),
    leaks: gauge(
      "solstice_leaks",
      "Differences between this host and the store that the last audit left",
      "kind",
    ),
    leaksRepaired: new Counter({
      name: "solstice_leaks_repaired_total",
      help: "Differences between this host and the store that audits have corrected",
      labelNames: ["kind"],
      registers: [registry],
    }),
    lastAudit: new Gauge({
      name: "solstice_audit_last_run_seconds",
      help: "When the last audit of this host ended, in seconds since 1970",
      registers: [registry],
    }),
  };
}

/** What an orchestrator with a broker tells beside that. */
export interface BrokerMetrics {
  /** 1 while RabbitMQ can be talked to, else 0. */
  readonly connected: Gauge;
  /** Results that wait in the store, of all hosts. */
  readonly unpublished: Gauge;
  /** Messages rejected since the start, by `reason`: a code of docs/reference/errors.md. */
  readonly rejected: Counter<"reason">;
}

/** Adds the broker's metrics to a registry. */
export function createBrokerMetrics(registry: Registry): BrokerMetrics {
  const registers = [registry];
  return {
    connected: new Gauge({
      name: "solstice_broker_connected",
      help: "Whether RabbitMQ can be talked to (1) or not (0)",
      registers,
    }),
    unpublished: new Gauge({
      name: "solstice_outbox_unpublished",
      help: "Results that wait in the store to be published, of all hosts",
      registers,
    }),
    rejected: new Counter({
      name: "solstice_rejected_messages_total",
      help: "Messages of the broker that were rejected since the start",
      labelNames: ["reason"],
      registers,
    }),
  };
}
