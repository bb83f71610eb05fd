import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** What the orchestrator tells Prometheus. Gauges are set by whoever knows; nothing is measured here. */
export interface Metrics {
  readonly registry: Registry;
  /** Jobs by `state`. */
  readonly jobs: Gauge<"state">;
  /** Machines by `state`. */
  readonly machines: Gauge<"state">;
  /** Slots by `kind`: `max` (the cap) and `used`. */
  readonly slots: Gauge<"kind">;
  /** 1 for each `image` that is ready, else 0. */
  readonly imagesReady: Gauge<"image">;
}

/** A registry of its own (nothing global) with the process's memory, event loop and garbage collection. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = <L extends string>(name: string, help: string, label: L) =>
    new Gauge<L>({ name, help, labelNames: [label], registers: [registry] });
  return {
    registry,
    jobs: gauge("solstice_jobs", "Jobs of this host by state", "state"),
    machines: gauge("solstice_machines", "Machines of this host by state", "state"),
    slots: gauge("solstice_slots", "Job slots of this host: max and used", "kind"),
    imagesReady: gauge("solstice_image_ready", "Whether an image is ready (1) or not (0)", "image"),
  };
}
