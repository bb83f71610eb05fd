import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import {
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { type PrivatePostgres, startPrivatePostgres } from "../support/servers/private-postgres.ts";
import { type PrivateRabbitmq, startPrivateRabbitmq } from "../support/servers/private-rabbitmq.ts";
import { limitDeliveries } from "../support/servers/rabbitmq-node.ts";
import type { HostCaps } from "./attempts.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** A host: successive orchestrators on the same data directory, with a separate proxied connection to the database. */
export interface Host {
  readonly caps: HostCaps;
  readonly wire: TcpProxy;
  /** The process that runs, or the last one that ran. */
  current(): OrchestratorProcess;
  start(): Promise<void>;
  /** The log of all processes of this host, one JSON document a line. */
  log(): string;
  /** Names of guests that have files on this host. */
  guests(): string[];
}

/** Everything that a run breaks: real servers and real processes on the loopback of this machine. */
export interface Cluster {
  readonly broker: PrivateRabbitmq;
  readonly database: PrivatePostgres;
  /** A direct connection to the database, which no fault interrupts. */
  readonly databaseUrl: string;
  readonly hosts: readonly Host[];
  /** Writes each host's log into a directory. */
  saveLogs(directory: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A short lease, so that a run sees many takeovers. */
export const leaseSeconds = 3;

/**
 * RabbitMQ 4 drops a message after this many returns (20 there). Far fewer here, so that the run detects a host that
 * returns messages it cannot store within one long outage; but more than the number of kills that one message meets
 * in a run.
 */
const deliveryLimit = 6;

/** Number of consecutive starts that may fail because of an outage. */
const maxStarts = 3;

const imageMap = `
default_label: red
aliases: { blue: noop-image, green: noop-image }
images:
  red: { local_path: /nonexistent/red, backend: noop }
  noop-image: { local_path: /nonexistent/other, backend: noop }
`;

/** The labels of the map. The capped ones are rarer: otherwise the end of a run would only wait for them. */
export const labels = ["red", "red", "red", "green", "green", "blue"] as const;

/** The two hosts, which differ in size and caps. Jobs of the capped labels wait while other jobs pass them. */
const hostPlans = [
  { maxConcurrency: 8, labelCaps: { blue: 2 } },
  { maxConcurrency: 5, labelCaps: { green: 1, blue: 1 } },
] as const;

/** Starts a broker, a database, and two orchestrators on them. All of them stop when the cluster is disposed. */
export async function startCluster(): Promise<Cluster> {
  await using starting = new AsyncDisposableStack();
  const [broker, database] = await allOf([
    startPrivateRabbitmq().then((started) => starting.adopt(started, () => started.stop())),
    startPrivatePostgres().then((started) => starting.adopt(started, () => started.stop())),
  ]);
  await limitDeliveries(broker.node, deliveryLimit);
  const databaseUrl = await database.createDatabase();
  const hosts = await allOf(
    hostPlans.map((plan) => startHost({ plan, cleanup: starting, databaseUrl, brokerUrl: broker.url })),
  );
  const cleanup = starting.move();
  return {
    broker,
    database,
    databaseUrl,
    hosts,
    saveLogs(directory) {
      mkdirSync(directory, { recursive: true });
      for (const host of hosts) writeFileSync(join(directory, `${host.caps.hostId}.log`), host.log());
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

/**
 * Like `Promise.all`, but when one promise fails, waits until the others have settled, so that they can be cleaned
 * up.
 */
async function allOf<T extends readonly unknown[] | []>(
  promises: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

async function startHost(parts: {
  plan: (typeof hostPlans)[number];
  cleanup: AsyncDisposableStack;
  databaseUrl: string;
  brokerUrl: string;
}): Promise<Host> {
  const { plan, cleanup } = parts;
  const url = new URL(parts.databaseUrl);
  const wire = await startTcpProxy(Number(url.port));
  cleanup.defer(() => wire.close());
  url.port = String(wire.port);
  const labelCaps = Object.entries(plan.labelCaps).map(([label, cap]) => `${label}=${cap}`);
  const setup = makeSetup({ after: (work) => cleanup.defer(work) }, imageMap, [
    ...["--hypervisor", "noop", "--noop-delay-ms", "150", "--runner-listen", "127.0.0.1:0"],
    ...["--max-concurrency", String(plan.maxConcurrency), "--capacity-map", labelCaps.join(",")],
    ...["--database-url", url.href, "--amqp-url", parts.brokerUrl],
    ...["--lease-timeout", `${leaseSeconds}s`, "--audit-interval", "10s"],
    // Not `debug`, the level of other tests: a long run logs much.
    ...["--log-level", "info"],
  ]);
  const processes = [await startOrchestrator(setup)];
  const hostId = readFileSync(join(setup.dataDir, "host-id"), "utf8").trim();
  return {
    caps: { hostId, ...plan },
    wire,
    current: () => processes.at(-1) as OrchestratorProcess,
    start: async () => void processes.push(await startAgain(setup)),
    log: () => processes.map((process) => process.log()).join("\n"),
    guests: () => guestsOf(setup),
  };
}

/** Like systemd: starts again when a start fails during an outage. */
async function startAgain(setup: OrchestratorSetup): Promise<OrchestratorProcess> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startOrchestrator(setup);
    } catch (error) {
      if (tries === maxStarts) throw error;
    }
  }
}

function guestsOf({ dataDir }: OrchestratorSetup): string[] {
  try {
    return readdirSync(join(dataDir, "guests")).filter((name) => name.startsWith("job-"));
  } catch {
    // The host has no guests directory yet.
    return [];
  }
}

/** Queries the database over a separate connection; rejects while the database is unavailable. */
export async function queryDatabase<Row extends object>(
  url: string,
  query: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query<Row>(query, values)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}
