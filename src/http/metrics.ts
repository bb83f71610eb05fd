import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

/**
 * The metrics that Prometheus reads from the orchestrator. Other modules set the gauges; nothing is measured
 * here.
 */
export interface Metrics {
  readonly registry: Registry;
  /** 1 while the store answers, else 0; metrics read from the store are then absent. */
  readonly storeUp: Gauge;
  /** Jobs by `state`. */
  readonly jobs: Gauge<"state">;
  /** Machines by `state`. */
  readonly machines: Gauge<"state">;
  /** Slots by `kind`: `max` (the cap) and `used`. */
  readonly slots: Gauge<"kind">;
  /** The maximum number of queued jobs in the store. */
  readonly queuedLimit: Gauge;
  /** Free bytes in the directory where jobs write. */
  readonly diskFree: Gauge;
  /** 1 while this host starts no jobs because a resource is missing, else 0. */
  readonly paused: Gauge;
  /** Bytes of all logs in the store at the last count. */
  readonly storeLogBytes: Gauge;
  /** Number of items that retention removed since the start, by `kind`: `jobs`, `logs`, `images`. */
  readonly retentionRemoved: Counter<"kind">;
  /** 1 for each `image` that is ready, else 0. */
  readonly imagesReady: Gauge<"image">;
  /** Number of leaks that remained after the last audit, by `kind`. */
  readonly leaks: Gauge<"kind">;
  /** Number of leaks that audits repaired since the start, by `kind`. */
  readonly leaksRepaired: Counter<"kind">;
  /** End of the last audit, in seconds since the epoch. */
  readonly lastAudit: Gauge;
}

/**
 * Creates a registry that is not global, with the process's memory, event loop and garbage collection
 * metrics.
 */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = <L extends string>(name: string, help: string, label: L) =>
    new Gauge<L>({ name, help, labelNames: [label], registers: [registry] });
  const plain = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  return {
    registry,
    storeUp: plain("solstice_store_up", "1 while the store answers, else 0"),
    jobs: gauge("solstice_jobs", "Jobs of this host by state", "state"),
    machines: gauge("solstice_machines", "Machines of this host by state", "state"),
    slots: gauge(
      "solstice_slots",
      "Job slots of this host: max and used; on_hold: guests that are kept in addition",
      "kind",
    ),
    queuedLimit: plain(
      "solstice_queued_limit",
      "Maximum of queued jobs in the store; requests beyond it are not accepted",
    ),
    diskFree: plain("solstice_disk_free_bytes", "Free bytes in the data directory"),
    paused: plain(
      "solstice_paused",
      "1 while this host starts no jobs, such as when disk space is low, else 0",
    ),
    storeLogBytes: plain("solstice_store_log_bytes", "Bytes of all logs in the store, counted hourly"),
    retentionRemoved: new Counter({
      name: "solstice_retention_removed_total",
      help: "Jobs, logs and images that retention removed since the start",
      labelNames: ["kind"],
      registers: [registry],
    }),
    imagesReady: gauge("solstice_image_ready", "1 when an image is ready, else 0", "image"),
    leaks: gauge(
      "solstice_leaks",
      "Differences between this host and the store that remained after the last audit",
      "kind",
    ),
    leaksRepaired: new Counter({
      name: "solstice_leaks_repaired_total",
      help: "Differences between this host and the store that audits repaired",
      labelNames: ["kind"],
      registers: [registry],
    }),
    lastAudit: new Gauge({
      name: "solstice_audit_last_run_seconds",
      help: "End of the last audit of this host, in seconds since 1970",
      registers: [registry],
    }),
  };
}

/** The additional metrics of an orchestrator with a broker. */
export interface BrokerMetrics {
  /** 1 while the connection to RabbitMQ works, else 0. */
  readonly connected: Gauge;
  /** Results of all hosts that wait in the store. */
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
      help: "1 while the connection to RabbitMQ works, else 0",
      registers,
    }),
    unpublished: new Gauge({
      name: "solstice_outbox_unpublished",
      help: "Results of all hosts that wait in the store to be published",
      registers,
    }),
    rejected: new Counter({
      name: "solstice_rejected_messages_total",
      help: "Broker messages rejected since the start",
      labelNames: ["reason"],
      registers,
    }),
  };
}
