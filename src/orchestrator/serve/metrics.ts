import type { MetricsSource } from "../../api/http.ts";
import { type BrokerMetrics, createBrokerMetrics, createMetrics, type Metrics } from "../../api/metrics.ts";
import { leakKinds } from "../../core/audit/leak.ts";
import { machineStates } from "../../core/job.ts";
import { activeStates } from "../../core/job-state.ts";
import { listSlots } from "../../store/capacity.ts";
import { listMachines } from "../../store/machines.ts";
import { countUnpublished } from "../../store/outbox.ts";
import type { AuditState } from "../audit/audit-state.ts";
import { type Context, isImageReady } from "../context.ts";
import type { QueueCounts } from "./queue-counts.ts";

/** What `/metrics` serves: gauges are read from the store when they are asked for, so that they cannot drift. */
export function createOrchestratorMetrics(context: Context, countQueued: QueueCounts): MetricsSource {
  const metrics = createMetrics();
  const { registry, jobs, machines, slots, imagesReady } = metrics;
  // Gauges of what is not there would read 0, and raise alarms.
  const brokerMetrics = context.messaging && createBrokerMetrics(registry);
  return {
    contentType: registry.contentType,
    async metrics() {
      const { store, identity, config } = context;
      const active = await listSlots(store, identity.hostId);
      const counts = await countQueued();
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
      setAuditMetrics(metrics, context.audits);
      setUpkeep(metrics, context);
      metrics.queuedLimit.set(config.maxQueued);
      if (brokerMetrics) await setBrokerMetrics(brokerMetrics, context);
      return registry.metrics();
    },
  };
}

function setAuditMetrics({ leaks, leaksMended, lastAudit }: Metrics, audits: AuditState): void {
  leaksMended.reset();
  for (const kind of leakKinds) {
    leaks.set({ kind }, audits.left[kind]);
    leaksMended.inc({ kind }, audits.mended[kind]);
  }
  if (audits.lastRunAt !== null) lastAudit.set(audits.lastRunAt / 1000);
}

function setUpkeep(metrics: Metrics, { diskGuard, pausedReason, retention }: Context): void {
  metrics.diskFree.set(diskGuard.freeBytes() ?? 0);
  metrics.paused.set(pausedReason() === null ? 0 : 1);
  metrics.storeLogBytes.set(retention.logBytes ?? 0);
  // The state counts; this is what it counted up to now.
  metrics.retentionRemoved.reset();
  for (const [kind, count] of Object.entries(retention.removed))
    metrics.retentionRemoved.inc({ kind }, count);
}

async function setBrokerMetrics(metrics: BrokerMetrics, { messaging, store }: Context): Promise<void> {
  metrics.connected.set(messaging?.broker.status().connected ? 1 : 0);
  metrics.unpublished.set(await countUnpublished(store));
  metrics.rejected.reset();
  for (const [reason, count] of messaging?.rejected ?? []) metrics.rejected.inc({ reason }, count);
}
