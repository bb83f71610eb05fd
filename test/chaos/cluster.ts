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

/** A host: one orchestrator after the other on the same data directory, with a wire of its own to the database. */
export interface Host {
  readonly caps: HostCaps;
  readonly wire: TcpProxy;
  /** The process that runs, or ran last. */
  current(): OrchestratorProcess;
  start(): Promise<void>;
  /** What all its processes logged, one JSON document a line. */
  log(): string;
  /** Names of guests whose files are there. */
  guests(): string[];
}

/** Everything that a run breaks: real servers and real processes, on this machine's loopback. */
export interface Cluster {
  readonly broker: PrivateRabbitmq;
  readonly database: PrivatePostgres;
  /** Straight to the database, whatever wire is cut. */
  readonly databaseUrl: string;
  readonly hosts: readonly Host[];
  /** Writes each host's log into a directory. */
  saveLogs(directory: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Short, so that a run sees many takeovers. */
export const leaseSeconds = 3;

/**
 * After this many returns RabbitMQ 4 gives a message up (20 there). Far fewer here, so that a host which returns what it
 * cannot store yet is found within one long outage; and more than a run kills under one message.
 */
const deliveryLimit = 6;

/** How often in a row a start may fail for an outage that it met. */
const maxStarts = 3;

const imageMap = `
default_label: red
aliases: { blue: noop-image, green: noop-image }
images:
  red: { local_path: /nonexistent/red, backend: noop }
  noop-image: { local_path: /nonexistent/other, backend: noop }
`;

/** The labels of the map, the capped ones less often: or the end of a run would be nothing but waiting for them. */
export const labels = ["red", "red", "red", "green", "green", "blue"] as const;

/** The two hosts: unlike in size and caps. Jobs of the capped labels wait while others pass. */
const hostPlans = [
  { maxConcurrency: 8, labelCaps: { blue: 2 } },
  { maxConcurrency: 5, labelCaps: { green: 1, blue: 1 } },
] as const;

/** Starts a broker, a database, and two orchestrators on them. All of it goes when it is disposed of. */
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

/** As `Promise.all`, but when one fails the others have come to their end too, and can be cleaned up. */
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
    // Not `debug`, as other tests have it: a long run logs much.
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

/** As systemd does: a start that meets an outage half-way ends, and comes again. */
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
    // A host that never had one.
    return [];
  }
}

/** Asks the database over a connection of its own; rejects while the database is away. */
export async function ask<Row extends object>(
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
