/**
 * Runs both endpoints in their own process, so that a test can measure their memory alone. Started by
 * `startServerProcess`; prints one line of JSON when it listens, and ends with its stdin.
 */
import { once } from "node:events";
import type { TestContext } from "node:test";
import { parseArgs } from "node:util";
import { createTestCaches } from "../../attempts/testing/caches.ts";
import { openTestTransfers } from "../../attempts/testing/transfers.ts";
import { createMetrics } from "../../http/metrics.ts";
import { startUserServer } from "../server.ts";
import {
  bootJob,
  insertTestJob,
  MemoryLog,
  noShells,
  openTestStore,
  startTestRunnerServer,
} from "./fixture.ts";

/** Every address of 127.0.0.0/8 counts as a guest. Shorter than real limits, because tests wait for them. */
const limits = {
  isSharedAddress: () => false,
  headersTimeoutMs: 4000,
  bodyTimeoutMs: 8000,
  stallTimeoutMs: 8000,
  idleTimeoutMs: 8000,
};

const { values } = parseArgs({ options: { jobs: { type: "string", default: "2" } } });
const endings: (() => unknown)[] = [];
const context = { after: (work: () => unknown) => endings.unshift(work) } as unknown as TestContext;
const store = await openTestStore(context);
const runner = await startTestRunnerServer(context, { store, limits });
const user = await startUserServer({
  listen: { host: "127.0.0.1", port: 0 },
  token: () => "operator",
  log: new MemoryLog(),
  store,
  now: Date.now,
  accept: async () => ({ job: await insertTestJob(store), existed: false }),
  retry: async () => ({ job: await insertTestJob(store), existed: false }),
  artifacts: { blobs: (await openTestTransfers(context, store)).blobs, hostId: "host-1" },
  capacity: async () => ({ maxConcurrency: 2, running: 1 }),
  describeHost: async () => ({ hostId: "host" }),
  explain: async () => ({ constraint: "not_waiting", message: "" }),
  drain: async () => ({ hostId: "host-1" }),
  findLeaks: async () => ({ leaks: [], inventories: [] }),
  caches: createTestCaches(store),
  hostId: "host",
  shells: noShells,
  readiness: async () => [],
  metrics: createMetrics().registry,
});
endings.unshift(() => user.close());
const jobs = [];
for (let count = 0; count < Number(values.jobs); count += 1) {
  jobs.push(await bootJob(store, (await insertTestJob(store)).id));
}
process.stdout.write(`${JSON.stringify({ runnerUrl: runner.url, userUrl: user.url, jobs })}\n`);
process.stdin.resume();
await once(process.stdin, "end");
for (const end of endings) await end();
