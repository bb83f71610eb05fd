import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { startPrivateRabbitmq } from "../../src/queue/testing/private-rabbitmq.ts";
import { startPrivatePostgres } from "../../src/store/testing/private-postgres.ts";
import {
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { causeFaults, type FaultPace, type Victim } from "./faults.ts";
import {
  assertCapsHeld,
  assertNothingLeft,
  assertOneVerdictEach,
  assertRejected,
  assertResultsPublished,
  type HostCaps,
} from "./findings.ts";
import { createMessages, type Messages } from "./messages.ts";
import { publishAll, takeAll } from "./publisher.ts";
import { createRandom, type Random } from "./random.ts";

/** What a run is made of. */
export interface ChaosOptions {
  /** Decides the messages and the moments of faults. */
  readonly seed: number;
  readonly jobs: number;
  /** How long publishing is drawn out, in ms; faults go on as long. */
  readonly durationMs: number;
  /** Called with each thing that happens. */
  readonly tell: (text: string) => void;
}

/** What a run was like, beside that every promise held. */
export interface ChaosSummary {
  readonly jobs: number;
  readonly kills: number;
  /** Verdicts by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Results that were published again because somebody died between the broker's confirm and our note of it. */
  readonly repeatedResults: number;
  readonly attempts: number;
}

const exchange = "solstice.jobs";
const requestQueue = "solstice.jobs.v1";
const deadQueue = `${requestQueue}.dead`;
const resultQueue = `${exchange}.results`;
const routingKey = "job.request";

/** The longest that everything may take to come to rest once nothing is killed any more. */
const settleTimeoutMs = 180_000;

const imageMap = `
default_label: red
aliases: { blue: noop-image, green: noop-image }
images:
  red: { local_path: /nonexistent/red, backend: noop }
  noop-image: { local_path: /nonexistent/other, backend: noop }
`;

/** The two hosts: unlike in size and caps. Jobs of the capped labels wait while others pass. */
const hostPlans = [
  { maxConcurrency: 8, labelCaps: { blue: 2 } },
  { maxConcurrency: 5, labelCaps: { green: 1, blue: 1 } },
] as const;

/** What is killed, how often, and for how long it is away, in ms. */
const pace: Readonly<Record<"broker" | "database" | "hosts", FaultPace>> = {
  broker: { calm: [8000, 20_000], away: [100, 3000] },
  database: { calm: [4000, 15_000], away: [50, 4000] },
  hosts: { calm: [3000, 10_000], away: [50, 8000] },
};

/** A host's orchestrator: one process after the other, on the same data directory. */
interface Host {
  readonly victim: Victim;
  readonly caps: HostCaps;
  readonly setup: OrchestratorSetup;
  current(): OrchestratorProcess;
}

/**
 * Real broker, real database, two real orchestrators: all of them killed again and again while requests, repeated and
 * malformed ones among them, arrive. Rejects when a promise did not hold.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosSummary> {
  const random = createRandom(options.seed);
  await using cleanup = new AsyncDisposableStack();
  const broker = await startPrivateRabbitmq();
  cleanup.defer(() => broker.stop());
  const database = await startPrivatePostgres();
  cleanup.defer(() => database.stop());
  const databaseUrl = await database.createDatabase();
  const hosts: Host[] = [];
  for (const plan of hostPlans)
    hosts.push(await startHost({ plan, cleanup, databaseUrl, brokerUrl: broker.url }));

  const messages = createMessages(random.fork("messages"), {
    count: options.jobs,
    // The capped ones are rarer, or the end of a run would be nothing but waiting for them.
    labels: ["red", "red", "red", "green", "green", "blue"],
    repositories: 7,
  });
  const victims = [
    {
      name: "broker",
      list: [{ name: "the broker", kill: () => broker.kill(), start: () => broker.start() }],
    },
    {
      name: "database",
      list: [{ name: "the database", kill: () => database.kill(), start: () => database.start() }],
    },
    { name: "hosts", list: hosts.map((host) => host.victim) },
  ] as const;
  const kills = await publishUnderFaults({ options, random, messages, victims, brokerUrl: broker.url });
  options.tell(`${kills} kills; now everything may come to rest`);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  cleanup.defer(() => client.end());
  await untilSettled(client, messages, options.tell);
  // Awaited here: what it looks at is taken down when this function returns.
  return await verify({ client, brokerUrl: broker.url, hosts, messages, kills });
}

async function startHost(parts: {
  plan: (typeof hostPlans)[number];
  cleanup: AsyncDisposableStack;
  databaseUrl: string;
  brokerUrl: string;
}): Promise<Host> {
  const { plan, cleanup } = parts;
  const labelCaps = Object.entries(plan.labelCaps).map(([label, cap]) => `${label}=${cap}`);
  const setup = makeSetup({ after: (work) => cleanup.defer(work) }, imageMap, [
    ...["--hypervisor", "noop", "--noop-delay-ms", "150", "--runner-listen", "127.0.0.1:0"],
    ...["--max-concurrency", String(plan.maxConcurrency), "--capacity-map", labelCaps.join(",")],
    ...["--database-url", parts.databaseUrl, "--amqp-url", parts.brokerUrl],
    ...["--lease-timeout", "5s", "--log-level", "info"],
  ]);
  let current = await startOrchestrator(setup);
  const hostId = readFileSync(join(setup.dataDir, "host-id"), "utf8").trim();
  return {
    setup,
    caps: { hostId, ...plan },
    current: () => current,
    victim: {
      name: `host ${hostId}`,
      kill: async () => void (await current.stop("SIGKILL")),
      start: async () => {
        current = await startOrchestrator(setup);
      },
    },
  };
}

async function publishUnderFaults(run: {
  options: ChaosOptions;
  random: Random;
  messages: Messages;
  brokerUrl: string;
  victims: readonly { name: keyof typeof pace; list: readonly Victim[] }[];
}): Promise<number> {
  const { options, random, messages } = run;
  const end = new AbortController();
  const faults = run.victims.map(({ name, list }) =>
    causeFaults(list, {
      random: random.fork(name),
      pace: pace[name],
      signal: end.signal,
      tell: options.tell,
    }),
  );
  const published = publishAll(run.brokerUrl, {
    ...{ exchange, routingKey },
    bodies: messages.published,
    pauseMs: options.durationMs / messages.published.length,
  });
  // Whichever fails first ends all: a fault that cannot be undone would make the publisher wait for its patience.
  await Promise.race([published, Promise.all(faults)]);
  end.abort();
  const counts = await Promise.all(faults);
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Waits until every request has ended, every result is out, and every malformed message is on record. */
async function untilSettled(
  client: pg.Client,
  messages: Messages,
  tell: (text: string) => void,
): Promise<void> {
  const wanted = `${messages.requests.length} ended, ${messages.requests.length} published, ${messages.malformed.length} rejected, 0 machines`;
  let seen = "";
  for (const end = Date.now() + settleTimeoutMs; Date.now() < end; await delay(250)) {
    const { rows } = await client.query<Record<"ended" | "published" | "rejected" | "machines", string>>(
      `select (select count(*) from jobs where finished_at is not null) as ended,
              (select count(*) from outbox where published_at is not null) as published,
              (select count(*) from rejected_messages) as rejected,
              (select count(*) from machines where state <> 'gone') as machines`,
    );
    const now = `${rows[0]?.ended} ended, ${rows[0]?.published} published, ${rows[0]?.rejected} rejected, ${rows[0]?.machines} machines`;
    if (now !== seen) tell(now);
    seen = now;
    if (now === wanted) return;
  }
  assert.fail(`after ${settleTimeoutMs} ms: ${seen}; wanted: ${wanted}`);
}

async function verify(run: {
  client: pg.Client;
  brokerUrl: string;
  hosts: readonly Host[];
  messages: Messages;
  kills: number;
}): Promise<ChaosSummary> {
  const { client, brokerUrl, hosts, messages } = run;
  // A clean end first: what it leaves behind is a leak.
  for (const host of hosts) assert.equal(await host.current().stop("SIGTERM"), 0, host.current().log());
  await assertOneVerdictEach(client, messages);
  await assertCapsHeld(
    client,
    hosts.map((host) => host.caps),
  );
  await assertNothingLeft(client);
  const { repeated } = await assertResultsPublished(client, await takeAll(brokerUrl, resultQueue));
  await assertRejected(client, await takeAll(brokerUrl, deadQueue), messages);
  assert.deepEqual(await takeAll(brokerUrl, requestQueue), [], "requests left in the broker");
  for (const { setup } of hosts) assert.deepEqual(guestsLeft(setup.dataDir), [], "files of guests");
  return summarize(client, { jobs: messages.requests.length, kills: run.kills, repeatedResults: repeated });
}

function guestsLeft(dataDir: string): string[] {
  try {
    return readdirSync(join(dataDir, "guests")).filter((name) => name.startsWith("job-"));
  } catch {
    return [];
  }
}

async function summarize(
  client: pg.Client,
  known: Pick<ChaosSummary, "jobs" | "kills" | "repeatedResults">,
): Promise<ChaosSummary> {
  const { rows } = await client.query<{ reason: string; jobs: string; attempts: string }>(
    "select verdict_reason as reason, count(*) as jobs, sum(attempt) as attempts from jobs group by verdict_reason",
  );
  return {
    ...known,
    reasons: Object.fromEntries(rows.map((row) => [row.reason, Number(row.jobs)])),
    attempts: rows.reduce((sum, row) => sum + Number(row.attempts), 0),
  };
}
