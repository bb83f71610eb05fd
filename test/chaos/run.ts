import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { createRandom, type Random } from "../support/random.ts";
import { assertCaps, readAttempts } from "./attempts.ts";
import { type Cluster, labels, startCluster } from "./cluster.ts";
import { faultDecks, type StormLength } from "./fault-sequences.ts";
import { causeFaults } from "./faults.ts";
import { assertCalm, assertLogs, assertNothingLeft, assertRejected, assertVerdicts } from "./findings.ts";
import { createMessages, type Messages } from "./messages.ts";
import { deleteQueue, publishAll, takeAll } from "./publisher.ts";
import { assertResults } from "./results.ts";
import { listenForWakes } from "./wakes.ts";

/** The options of a run. */
export interface ChaosOptions {
  /** Decides the messages and the moments of faults. */
  readonly seed: number;
  /** Number of jobs that arrive during faults; some more follow afterwards. */
  readonly jobs: number;
  /** Number of jobs that arrive at full speed when nothing is broken any more: enough to fill both hosts. */
  readonly calmJobs: number;
  /** Duration of publishing, in ms. In a long storm faults last as long, and until each came once. */
  readonly durationMs: number;
  readonly storm: StormLength;
  /** Called with a line of text for each event. */
  readonly report: (text: string) => void;
  /** Directory for the orchestrators' logs of a failed run; null: the logs are not kept. */
  readonly failureLogs: string | null;
}

/** The counts of a run in which every promise held. */
export interface ChaosSummary {
  /** The number of times each fault came. */
  readonly faults: Readonly<Record<string, number>>;
  /** Verdicts by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly attempts: number;
  /**
   * Results that were published again because a process died between the broker's confirm and its own record of that.
   */
  readonly repeatedResults: number;
}

const exchange = "solstice.jobs";
const requestQueue = "solstice.jobs.v1";
const deadQueue = `${requestQueue}.dead`;
const resultQueue = `${exchange}.results`;
const routingKey = "job.request";

/**
 * Longest time without progress once nothing is broken, in ms. A result that a host claimed for publishing before it
 * died waits two minutes until another host may publish it.
 */
const stallTimeoutMs = 150_000;

/** Shortest time between two lines of progress, in ms. */
const reportIntervalMs = 5000;

/** The two parts of a run. */
interface Parts {
  readonly storm: Messages;
  readonly calm: Messages;
}

/**
 * Runs a real broker, a real database and two real orchestrators. First comes a storm: all of them are killed,
 * stopped or cut off repeatedly while requests arrive, among them repeated and malformed ones. When all work has
 * ended, the request queue is deleted. Then comes calm: more requests, which nothing may delay, repeat or lose.
 * Rejects when a promise did not hold.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosSummary> {
  const random = createRandom(options.seed);
  await using cluster = await startCluster();
  try {
    return await runOn(cluster, random, options);
  } catch (error) {
    if (options.failureLogs !== null) cluster.saveLogs(options.failureLogs);
    throw error;
  }
}

async function runOn(cluster: Cluster, random: Random, options: ChaosOptions): Promise<ChaosSummary> {
  const { report } = options;
  const parts = createParts(random, options);
  const faults = await storm(cluster, random, { ...options, messages: parts.storm });
  report("nothing is broken any more; waiting until all requests have ended");
  const client = new pg.Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => client.end());
  await untilSettled(client, [parts.storm], report);
  await deleteQueue(cluster.broker.url, requestQueue);
  report("the request queue is deleted; more requests arrive");
  const wakes = await listenForWakes(cluster.databaseUrl);
  cleanup.defer(() => wakes.close());
  const { url } = cluster.broker;
  await publishAll({ url, exchange, routingKey }, { messages: parts.calm.published, pauseMs: 0 });
  await untilSettled(client, [parts.storm, parts.calm], report);
  assert.equal(wakes.senders(), cluster.hosts.length, "hosts that notify the others of changes");
  // A clean end first: whatever remains afterwards is a leak.
  for (const host of cluster.hosts) {
    assert.equal(await host.current().stop("SIGTERM"), 0, host.current().log());
  }
  return { faults, ...(await verify(cluster, client, parts)) };
}

function createParts(random: Random, { jobs, calmJobs }: ChaosOptions): Parts {
  const shape = { labels, repositories: 7 };
  return {
    storm: createMessages(random.fork("storm"), { ...shape, count: jobs, withExtremes: true }),
    calm: createMessages(random.fork("calm"), { ...shape, count: calmJobs, withExtremes: false }),
  };
}

async function storm(
  cluster: Cluster,
  random: Random,
  run: ChaosOptions & { messages: Messages },
): Promise<Record<string, number>> {
  const { published: list } = run.messages;
  const [enough, failed] = [new AbortController(), new AbortController()];
  if (run.storm === "short") enough.abort();
  const signals = { enough: enough.signal, failed: failed.signal };
  const faults = Promise.all(
    faultDecks(cluster, random.fork("victims"), run.storm).map(({ name, calmMs, faults: deck }) =>
      causeFaults(deck, { random: random.fork(name), calmMs, ...signals, report: run.report }),
    ),
  );
  const published = publishAll(
    { url: cluster.broker.url, exchange, routingKey },
    { messages: list, pauseMs: run.durationMs / list.length, signal: failed.signal },
  ).finally(() => enough.abort());
  try {
    const [counts] = await Promise.all([faults, published]);
    return Object.fromEntries(counts.flatMap((count) => [...count]));
  } catch (error) {
    failed.abort();
    await Promise.allSettled([faults, published]);
    throw error;
  }
}

/** Waits until every request has ended, every result is published, and every malformed message is recorded. */
async function untilSettled(
  client: pg.Client,
  parts: readonly Messages[],
  report: (text: string) => void,
): Promise<void> {
  const requests = parts.reduce((sum, { requests }) => sum + requests.length, 0);
  const malformed = parts.reduce((sum, { malformed }) => sum + malformed.length, 0);
  const wanted = `${requests} ended, ${requests} published, ${malformed} rejected, 0 machines`;
  let seen = "";
  let tellAt = 0;
  for (let end = Date.now() + stallTimeoutMs; Date.now() < end; await delay(250)) {
    const now = await progress(client);
    if (now === wanted) return;
    if (now !== seen) end = Date.now() + stallTimeoutMs;
    seen = now;
    if (Date.now() < tellAt) continue;
    report(seen);
    tellAt = Date.now() + reportIntervalMs;
  }
  assert.fail(`no progress for ${stallTimeoutMs} ms: ${seen}; wanted: ${wanted}`);
}

async function progress(client: pg.Client): Promise<string> {
  const { rows } = await client.query<Record<"ended" | "published" | "rejected" | "machines", string>>(
    `select (select count(*) from jobs where finished_at is not null) as ended,
            (select count(*) from outbox where published_at is not null) as published,
            (select count(*) from rejected_messages) as rejected,
            (select count(*) from machines where state <> 'gone') as machines`,
  );
  const [row] = rows;
  return `${row?.ended} ended, ${row?.published} published, ${row?.rejected} rejected, ${row?.machines} machines`;
}

async function verify(
  { broker, hosts }: Cluster,
  client: pg.Client,
  { storm, calm }: Parts,
): Promise<Omit<ChaosSummary, "faults">> {
  const calmIds = new Set(calm.requests.map((request) => request.request_id));
  await assertVerdicts(client, [...storm.requests.map((request) => request.request_id), ...calmIds]);
  const attempts = await readAttempts(client);
  assertCaps(
    attempts,
    hosts.map((host) => host.caps),
  );
  await assertCalm(client, attempts, { requestIds: calmIds, hosts: hosts.length });
  await assertNothingLeft(client, attempts.length);
  await assertLogs(client);
  const repeatedResults = await assertResults(client, await takeAll(broker.url, resultQueue), calmIds);
  const malformed = [...storm.malformed, ...calm.malformed];
  await assertRejected(client, await takeAll(broker.url, deadQueue), malformed);
  assert.deepEqual(await takeAll(broker.url, requestQueue), [], "requests left in the broker");
  for (const host of hosts) assert.deepEqual(host.guests(), [], "files of guests");
  return { reasons: await reasonsOf(client), attempts: attempts.length, repeatedResults };
}

async function reasonsOf(client: pg.Client): Promise<Record<string, number>> {
  const { rows } = await client.query<{ reason: string; jobs: number }>(
    "select verdict_reason as reason, count(*)::int as jobs from jobs group by verdict_reason",
  );
  return Object.fromEntries(rows.map(({ reason, jobs }) => [reason, jobs]));
}
