import type { MetricsSource } from "../api/http.ts";
import { createMetrics } from "../api/metrics.ts";
import { machineStates } from "../core/job.ts";
import { activeStates } from "../core/job-state.ts";
import { countJobs, listActive } from "../store/capacity.ts";
import { listMachines } from "../store/machines.ts";
import { type Context, isImageReady } from "./context.ts";

/** What `/metrics` serves: gauges are read from the store when they are asked for, so that they cannot drift. */
export function createOrchestratorMetrics(context: Context): MetricsSource {
  const { registry, jobs, machines, slots, imagesReady } = createMetrics();
  return {
    contentType: registry.contentType,
    async metrics() {
      const { store, identity, config } = context;
      const active = await listActive(store, identity.hostId);
      const counts = await countJobs(store, identity.hostId);
      jobs.set(
        { state: "queued" },
        counts.reduce((total, count) => total + count.queued, 0),
      );
      for (const state of activeStates)
        jobs.set({ state }, active.filter((job) => job.state === state).length);
      const present = await listMachines(store, identity.hostId);
      for (const state of machineStates) {
        machines.set({ state }, present.filter((machine) => machine.state === state).length);
      }
      slots.set({ kind: "max" }, config.maxConcurrency);
      slots.set({ kind: "used" }, active.length);
      for (const image of config.imageMap.images.keys())
        imagesReady.set({ image }, isImageReady(context, image) ? 1 : 0);
      return registry.metrics();
    },
  };
}
