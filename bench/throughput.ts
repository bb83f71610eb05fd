import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { JobResult } from "../src/core/job/job-result.ts";
import type { Bench } from "./bench.ts";
import { type BrokerClient, openBrokerClient } from "./broker-client.ts";
import { type Daemon, noopFlags, noopImageMap, startDaemon } from "./daemon.ts";
import type { Figure } from "./report.ts";
import { percentile } from "./statistics.ts";

const section = "throughput";

/** Load of the latency measurement: far below the maximum, so that the latency contains no waiting in a queue. */
const lowLoadPerSecond = 20;
const latencyConcurrency = 8;
const concurrencies = [1, 8, 64] as const;

/** Duration of the warm-up, which is not measured, because a daemon's code is compiled while it runs. */
const warmUpSeconds = 3;
const measuredSeconds = 8;
const quickSeconds = 0.1;

type StoreName = "postgres" | "sqlite";

/** Jobs through a real RabbitMQ and a real store: latency at low load, and jobs per second at full load. */
export async function measureThroughput(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const store of bench.isQuick ? (["postgres"] as const) : (["postgres", "sqlite"] as const)) {
    for (const concurrency of bench.isQuick ? [8] : concurrencies) {
      bench.report(`jobs per second at concurrency ${concurrency} on ${store}`);
      const run = await withDaemon(bench, { store, concurrency }, (client, daemon) =>
        measureRate(client, daemon, {
          seconds: bench.isQuick ? quickSeconds : measuredSeconds,
          window: windowFor(concurrency),
        }),
      );
      const name = `${store}, concurrency ${concurrency}`;
      figures.push({ section, name, value: run.jobsPerSecond, unit: "jobs/s" });
      figures.push({ section, name: `${name}: orchestrator`, value: run.cpuMsPerJob, unit: "CPU ms/job" });
    }
    bench.report(`latency at ${lowLoadPerSecond} jobs per second on ${store}`);
    const samples = await withDaemon(bench, { store, concurrency: latencyConcurrency }, (client) =>
      measureLatency(client, bench.isQuick ? 5 : 200),
    );
    figures.push(...latencyFigures(store, samples));
  }
  return figures;
}

/** Number of jobs that are published and have not ended: enough that the daemon always has further jobs. */
function windowFor(concurrency: number): number {
  return Math.max(16, 4 * concurrency);
}

async function withDaemon<T>(
  bench: Bench,
  setup: { store: StoreName; concurrency: number },
  work: (client: BrokerClient, daemon: Daemon) => Promise<T>,
): Promise<T> {
  const { url } = await bench.broker();
  const databaseUrl = setup.store === "postgres" ? await (await bench.database()).createDatabase() : null;
  const storeFlags = databaseUrl === null ? [] : ["--database-url", databaseUrl];
  const flags = [...noopFlags(setup.concurrency), "--amqp-url", url, ...storeFlags];
  const daemon = await startDaemon(bench, { imageMap: noopImageMap, flags });
  try {
    const client = await openBrokerClient(url);
    try {
      await measureRate(client, daemon, {
        seconds: bench.isQuick ? quickSeconds : warmUpSeconds,
        window: windowFor(setup.concurrency),
      });
      return await work(client, daemon);
    } finally {
      await client.close();
    }
  } finally {
    await daemon.kill();
    if (databaseUrl !== null) await (await bench.database()).removeDatabase(databaseUrl);
  }
}

/**
 * Closed loop: the next request is published when a result arrives, so that `window` jobs are always in flight. Ends when all
 * published jobs have ended.
 */
async function measureRate(
  client: BrokerClient,
  daemon: Daemon,
  { seconds, window }: { seconds: number; window: number },
): Promise<{ jobsPerSecond: number; cpuMsPerJob: number }> {
  const finished = Promise.withResolvers<void>();
  const cpuBefore = daemon.cpuMs();
  const began = performance.now();
  let published = 0;
  let ended = 0;
  const publishNext = () => {
    if (performance.now() - began > seconds * 1000) return;
    published += 1;
    client.publish(randomUUID()).catch(finished.reject);
  };
  client.onResult(() => {
    ended += 1;
    publishNext();
    if (ended === published) finished.resolve();
  });
  for (let count = 0; count < window; count += 1) publishNext();
  await finished.promise;
  const elapsedSeconds = (performance.now() - began) / 1000;
  return { jobsPerSecond: ended / elapsedSeconds, cpuMsPerJob: (daemon.cpuMs() - cpuBefore) / ended };
}

/** Milliseconds since the time at which a request was due. */
interface Latency {
  readonly claimed: number;
  readonly verdict: number;
  readonly result: number;
}

/**
 * Open loop: requests are published at random times that do not depend on the daemon's speed, and are measured from the time
 * at which they were due. Claim and verdict are the times in the store.
 */
async function measureLatency(client: BrokerClient, jobs: number): Promise<Latency[]> {
  const due = new Map<string, number>();
  const samples: Latency[] = [];
  const finished = Promise.withResolvers<void>();
  client.onResult((result) => {
    samples.push(latencyOf(result, due.get(result.request_id) ?? Number.NaN));
    if (samples.length === jobs) finished.resolve();
  });
  let at = Date.now();
  for (let count = 0; count < jobs; count += 1) {
    at += (-Math.log(1 - Math.random()) / lowLoadPerSecond) * 1000;
    await delay(Math.max(0, at - Date.now()));
    const requestId = randomUUID();
    due.set(requestId, at);
    client.publish(requestId).catch(finished.reject);
  }
  await finished.promise;
  return samples;
}

function latencyOf(result: JobResult, due: number): Latency {
  const claim = result.transitions.find(({ to }) => to === "provisioning");
  if (claim === undefined) throw new Error(`job ${result.job_id} was never claimed: ${result.message}`);
  const since = (time: string) => Date.parse(time) - due;
  return { claimed: since(claim.at), verdict: since(result.finished_at), result: Date.now() - due };
}

function latencyFigures(store: StoreName, samples: readonly Latency[]): Figure[] {
  const spans = [
    ["publish → claimed", "claimed"],
    ["publish → verdict", "verdict"],
    ["publish → result received", "result"],
  ] as const;
  return spans.flatMap(([span, key]) =>
    [50, 95, 99].map((rank) => ({
      section,
      name: `${store}, ${span}, p${rank}`,
      value: percentile(
        samples.map((sample) => sample[key]),
        rank / 100,
      ),
      unit: "ms",
    })),
  );
}
