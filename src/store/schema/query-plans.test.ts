import assert from "node:assert/strict";
import { test } from "node:test";
import { CompiledQuery, type KyselyPlugin, sql } from "kysely";
import { listRejectedMessages, recordRejected } from "../deliveries/rejected.ts";
import {
  beginUpload,
  expireUpload,
  listKeptUploads,
  listUnfinishedUploads,
  listUploads,
  recordDigest,
  recordStored,
  sumStored,
} from "../files/uploads.ts";
import { closeAttempt, findBySession, hasRunnerToken, loadAttempt } from "../jobs/attempts.ts";
import { countQueued, countQueuedByGroup } from "../jobs/capacity.ts";
import {
  applyEvent,
  findJobByRequest,
  findJobs,
  getJob,
  insertJob,
  listActive,
  listJobs,
  listQueued,
  listTransitions,
  recentDurations,
  requestCancel,
} from "../jobs/jobs.ts";
import { listMachines, recordFinish, setMachineState } from "../jobs/machines.ts";
import { deleteFinishedJobs, expireOldestLogs, sumLogBytes } from "../jobs/retention.ts";
import { finishStep, listSteps, startStep } from "../jobs/steps.ts";
import { appendLog, compactLog, compactLogs, logStatus, readLog } from "../logs/logs.ts";
import {
  claimResults,
  countUnpublished,
  loadEndedJobs,
  markPublished,
  releaseResults,
} from "../outbox/outbox.ts";
import { createStore, type Store } from "../store.ts";
import { bindSession, claim, end, hostId, insertClaimed, newJob } from "../testing/sample-jobs.ts";
import { createSqliteDatabase, openForTest } from "../testing/test-database.ts";
import { sampleUpload } from "../testing/uploads-contract.ts";

const attempt = { jobId: "job1", attempt: 1 } as const;
const log = { ...attempt, stream: "output" } as const;

/** A store like `store` that records its queries. */
function recording(store: Store): { recorded: Store; queries: () => CompiledQuery[] } {
  const nodes: Parameters<KyselyPlugin["transformQuery"]>[0][] = [];
  const recorder: KyselyPlugin = {
    transformQuery(args) {
      nodes.push(args);
      return args.node;
    },
    transformResult: async ({ result }) => result,
  };
  const compile = () =>
    nodes.map(({ node, queryId }) => store.db.getExecutor().compileQuery(node, queryId) as CompiledQuery);
  return { recorded: createStore(store.db.withPlugin(recorder)), queries: compile };
}

/** Runs every operation of the store once. */
async function useEverything(store: Store): Promise<void> {
  await insertJob(store, newJob("job1"));
  await insertJob(store, newJob("job2"));
  await claim(store, "job1");
  await applyEvent(store, { ...attempt, event: "boot", at: 1 });
  await bindSession(store, { bootstrapTokenHash: "boot-job1-2000", sessionTokenHash: "session", at: 1 });
  await bindSession(store, { bootstrapTokenHash: "boot-job1-2000", sessionTokenHash: "session", at: 1 });
  await findBySession(store, "session");
  await hasRunnerToken(store, "session", "session");
  await hasRunnerToken(store, "bootstrap", "boot-job1-2000");
  await loadAttempt(store, "job1");
  await startStep(store, { ...attempt, index: 0, at: 1, logOffset: 0 });
  await finishStep(store, { ...attempt, index: 0, at: 1, logOffset: 0, exitCode: 0 });
  await useUploads(store);
  await closeAttempt(store, { ...attempt, at: 1 });
  await appendLog(store, { ...log, offset: 0, data: Buffer.from("text"), limitBytes: 99 });
  await readLog(store, { ...log, offset: 1, maxBytes: 9 });
  await logStatus(store, log);
  await compactLog(store, log);
  await compactLogs(store, attempt);
  await recordFinish(store, { ...attempt, at: 1, exitCode: 0, failure: null, logLength: 4, logSha256: "" });
  await setMachineState(store, { ...attempt, state: "gone", at: 1 });
  await sumLogBytes(store);
  await requestCancel(store, { jobId: "job1", at: 1 });
  await Promise.all([getJob(store, "job1"), findJobs(store, "job", 5), listSteps(store, attempt)]);
  await Promise.all([listJobs(store, { limit: 5, beforeJobId: "job1" }), listTransitions(store, "job1")]);
  await listJobs(store, { limit: 5, states: ["queued", "running"] });
  await useRetention(store);
  await useMessages(store);
  await Promise.all([listQueued(store, 10), listActive(store, hostId), listMachines(store, hostId)]);
  await Promise.all([countQueuedByGroup(store), recentDurations(store, { label: "debian-12", limit: 5 })]);
}

async function useUploads(store: Store): Promise<void> {
  await beginUpload(store, sampleUpload("a"), () => true);
  await recordDigest(store, { ...attempt, id: "a", sha256: "abc" });
  await recordStored(store, { ...attempt, id: "a", at: 7 }, async () => {});
  await sumStored(store, "artifact", hostId);
  const [kept = null] = await listUploads(store, { ...attempt, kind: "artifact" });
  const place = { kind: "artifact", blobHostId: hostId };
  await listKeptUploads(store, { ...place, before: 99, after: null });
  await listKeptUploads(store, { ...place, before: 99, after: kept });
  await listUnfinishedUploads(store, place);
  await expireUpload(store, { ...attempt, id: "a", at: 9 });
}

async function useMessages(store: Store): Promise<void> {
  await countQueued(store, 10);
  await findJobByRequest(store, "no-such-request");
  await countUnpublished(store);
  await store.db
    .insertInto("outbox")
    .values({ job_id: "job2", created_at: 1, claimed_by: null, claimed_until: null, published_at: null })
    .execute();
  const jobIds = await claimResults(store, { hostId, at: 1, until: 2, limit: 5 });
  await loadEndedJobs(store, jobIds);
  await releaseResults(store, { hostId, jobIds });
  await markPublished(store, { jobIds, at: 3 });
  const body = Buffer.from("no request");
  const facts = { reason: "usage", message: "No.", requestId: null, hostId, at: 1 } as const;
  await recordRejected(store, { body, bodyBytes: body.length, redelivered: false, ...facts });
  await listRejectedMessages(store, 5);
}

async function useRetention(store: Store): Promise<void> {
  await insertClaimed(store, "job3");
  const data = Buffer.alloc(300 * 1024);
  await appendLog(store, { ...log, jobId: "job3", offset: 0, data, limitBytes: 1e6 });
  await setMachineState(store, { ...attempt, jobId: "job3", state: "gone", at: 1 });
  await end(store, "job3", "completed", 5);
  const after = { finishedAt: 1, jobId: "job0" };
  await expireOldestLogs(store, { bytes: 1, at: 9, after });
  await deleteFinishedJobs(store, { before: 9, awaitsPublishing: true, at: 9, after });
}

test("no operation reads a whole table, or sorts rows that an index has sorted", async (context) => {
  const store = await openForTest(context, createSqliteDatabase);
  const { recorded, queries } = recording(store);
  await useEverything(recorded);
  const distinct = new Map(queries().map((query) => [query.sql, query]));
  assert.ok(distinct.size > 30, `only ${distinct.size} queries were recorded`);
  for (const query of distinct.values()) {
    if (/^savepoint|^release|^rollback/.test(query.sql)) continue;
    const plan = await explainPlan(store, query);
    // The rows of `counted` come from an index and have a limit; so does the whole table of refused messages.
    for (const step of plan)
      assert.doesNotMatch(
        step,
        /^SCAN (?!CONSTANT ROW|counted|rejected_messages USING)/,
        `${query.sql}\n${plan.join("\n")}`,
      );
  }
});

test("the scheduler's list is read in its order from an index, without a sort", async (context) => {
  const store = await openForTest(context, createSqliteDatabase);
  await insertJob(store, newJob("job1"));
  const { recorded, queries } = recording(store);
  await listQueued(recorded, 10);
  await listJobs(recorded, { limit: 10, states: ["queued"] });
  for (const query of queries()) {
    for (const step of await explainPlan(store, query)) assert.doesNotMatch(step, /TEMP B-TREE/, query.sql);
  }
});

async function explainPlan(store: Store, query: CompiledQuery): Promise<string[]> {
  const plan = await store.db.executeQuery<{ detail: string }>(
    CompiledQuery.raw(`explain query plan ${query.sql}`, [...query.parameters]),
  );
  return plan.rows.map((row) => row.detail);
}

test("the cost of listing the queue depends on waiting jobs, not on finished ones", async (context) => {
  const store = await openForTest(context, createSqliteDatabase);
  for (const id of ["done", "waits1", "waits2"]) await insertJob(store, newJob(id));
  await multiplyFinished(store, 100_000);
  const { jobs: listed } = await listQueued(store, 10);
  assert.deepEqual(
    listed.map((job) => job.id),
    ["waits1", "waits2"],
  );
  assert.equal((await listActive(store, hostId)).length, 0);
  assert.deepEqual(
    (await countQueuedByGroup(store)).map((count) => count.queued),
    [2],
  );
});

/** Copies the job `done` many times, as finished jobs of this host. */
async function multiplyFinished(store: Store, count: number): Promise<void> {
  await store.db
    .updateTable("jobs")
    .set({ state: "succeeded", host_id: hostId })
    .where("id", "=", "done")
    .execute();
  const columns = Object.keys(await store.db.selectFrom("jobs").selectAll().executeTakeFirstOrThrow());
  const copied = columns
    .filter((column) => column !== "id" && column !== "request_id")
    .map((column) => sql.ref(column));
  await sql`
    with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${count})
    insert into jobs (id, request_id, ${sql.join(copied)})
    select 'done' || n, 'request' || n, ${sql.join(copied)} from numbers, jobs where id = 'done'
  `.execute(store.db);
}
