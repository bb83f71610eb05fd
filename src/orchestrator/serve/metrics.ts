import { type CacheMetrics, createCacheMetrics } from "../../attempts/caches/cache-metrics.ts";
import { leakKinds } from "../../core/audit/leak.ts";
import { countedSlots } from "../../core/job/hold.ts";
import { type MachineState, machineStates } from "../../core/job/job.ts";
import { activeStates, type JobState } from "../../core/job/job-state.ts";
import type { MetricsSource } from "../../http/http.ts";
import { type BrokerMetrics, createBrokerMetrics, createMetrics, type Metrics } from "../../http/metrics.ts";
import { listSlots } from "../../store/jobs/capacity.ts";
import { listMachines } from "../../store/jobs/machines.ts";
import { countUnpublished } from "../../store/outbox/outbox.ts";
import type { AuditState } from "../audit/audit-state.ts";
import { type Context, isImageReady, isImageServed } from "../context.ts";
import { withinProbeTime } from "./probe.ts";
import type { QueueCounts } from "./queue-counts.ts";

/**
 * Creates the source of `/metrics`. Facts of the store are read at each request, so that they are current;
 * while the store is unavailable, `solstice_store_up` is 0, and the other metrics are served.
 */
export function createOrchestratorMetrics(context: Context, countQueued: QueueCounts): MetricsSource {
  const metrics = createMetrics();
  const { registry, storeUp, imagesReady, slots, queuedLimit } = metrics;
  const cacheMetrics = createCacheMetrics(registry);
  // Gauges of an absent broker would read 0, and raise alarms.
  const brokerMetrics = context.messaging && createBrokerMetrics(registry);
  return {
    contentType: registry.contentType,
    async metrics() {
      const { config } = context;
      const facts = await withinProbeTime(readStore(context, countQueued)).catch(() => null);
      storeUp.set(facts === null ? 0 : 1);
      setStoreMetrics(metrics, facts, config.maxHolds);
      slots.set({ kind: "max" }, config.maxConcurrency);
      // Images for other hosts are not reported as missing here.
      for (const image of config.imageMap.images.keys())
        if (isImageServed(context, image)) imagesReady.set({ image }, isImageReady(context, image) ? 1 : 0);
      setAuditMetrics(metrics, context.audits);
      setUpkeep(metrics, context);
      setCacheMetrics(cacheMetrics, context);
      queuedLimit.set(config.maxQueued);
      if (brokerMetrics) setBrokerMetrics(brokerMetrics, { context, unpublished: facts?.unpublished });
      return registry.metrics();
    },
  };
}

/** Facts in the store about this host, and about the queue. */
interface StoreFacts {
  readonly queued: number;
  readonly active: readonly { readonly state: JobState; readonly onHold: boolean }[];
  readonly machines: readonly { readonly state: MachineState }[];
  readonly unpublished: number;
}

async function readStore(context: Context, countQueued: QueueCounts): Promise<StoreFacts> {
  const { store, identity, messaging } = context;
  const counts = await countQueued();
  return {
    queued: counts.reduce((total, count) => total + count.queued, 0),
    active: await listSlots(store, identity.hostId),
    machines: await listMachines(store, identity.hostId),
    unpublished: messaging === null ? 0 : await countUnpublished(store),
  };
}

/** Null removes the values: old values would look current. */
function setStoreMetrics(
  { jobs, machines, slots }: Metrics,
  facts: StoreFacts | null,
  maxHolds: number,
): void {
  for (const gauge of [jobs, machines, slots]) gauge.reset();
  if (facts === null) return;
  const { queued, active, machines: present } = facts;
  jobs.set({ state: "queued" }, queued);
  for (const state of activeStates) jobs.set({ state }, active.filter((job) => job.state === state).length);
  for (const state of machineStates) {
    machines.set({ state }, present.filter((machine) => machine.state === state).length);
  }
  const counted = countedSlots(active, maxHolds);
  slots.set({ kind: "used" }, counted.length);
  slots.set({ kind: "on_hold" }, active.length - counted.length);
}

function setAuditMetrics({ leaks, leaksRepaired, lastAudit }: Metrics, audits: AuditState): void {
  leaksRepaired.reset();
  for (const kind of leakKinds) {
    leaks.set({ kind }, audits.left[kind]);
    leaksRepaired.inc({ kind }, audits.repaired[kind]);
  }
  if (audits.lastRunAt !== null) lastAudit.set(audits.lastRunAt / 1000);
}

function setUpkeep(metrics: Metrics, { diskGuard, pausedReason, retention }: Context): void {
  metrics.diskFree.set(diskGuard.freeBytes() ?? 0);
  metrics.paused.set(pausedReason() === null ? 0 : 1);
  metrics.storeLogBytes.set(retention.logBytes ?? 0);
  // The state has the counts; the counter is set to them.
  metrics.retentionRemoved.reset();
  for (const [kind, count] of Object.entries(retention.removed))
    metrics.retentionRemoved.inc({ kind }, count);
}

function setBrokerMetrics(
  metrics: BrokerMetrics,
  facts: { readonly context: Context; readonly unpublished: number | undefined },
): void {
  const { messaging } = facts.context;
  metrics.connected.set(messaging?.broker.status().connected ? 1 : 0);
  if (facts.unpublished === undefined) metrics.unpublished.remove();
  else metrics.unpublished.set(facts.unpublished);
  metrics.rejected.reset();
  for (const [reason, count] of messaging?.rejected ?? []) metrics.rejected.inc({ reason }, count);
}

/** The cache has the counts; the counters are set to them. */
function setCacheMetrics(metrics: CacheMetrics, { caches }: Context): void {
  const { restores, saves, bytes, removed } = metrics;
  for (const counter of [restores, saves, bytes, removed]) counter.reset();
  for (const [outcome, count] of Object.entries(caches.counts.restores)) restores.inc({ outcome }, count);
  for (const [outcome, count] of Object.entries(caches.counts.saves)) saves.inc({ outcome }, count);
  for (const [direction, count] of Object.entries(caches.counts.bytes)) bytes.inc({ direction }, count);
  for (const [reason, count] of Object.entries(caches.removed)) removed.inc({ reason }, count);
  metrics.size.set(caches.sizeBytes ?? 0);
}
