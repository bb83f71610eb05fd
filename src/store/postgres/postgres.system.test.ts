import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import { startPrivatePostgres } from "../../../test/support/servers/private-postgres.ts";
import { isSolsticeError } from "../../core/errors.ts";
import { verdict } from "../../core/job/verdict.ts";
import { silentLog } from "../../core/log.ts";
import { applyEvent, getJob, insertJob, listJobs } from "../jobs/jobs.ts";
import { startSession } from "../jobs/sessions.ts";
import { appendLog, readLog } from "../logs/logs.ts";
import type { Store, Wake } from "../store.ts";
import { dumpPostgresSchema } from "../testing/dump-schema.ts";
import { claim, insertClaimed, newJob } from "../testing/sample-jobs.ts";
import { createPostgresDatabase, openAt, openForTest, openSeveral } from "../testing/test-database.ts";
import { isWorthRepeating } from "./errors.ts";
import { openPostgresStore } from "./open.ts";

const server = await startPrivatePostgres();
after(() => server.stop());

const create = () => createPostgresDatabase(server);
const log = silentLog;

function openTwo(context: TestContext): Promise<[Store, Store]> {
  return openSeveral(context, create, 2) as Promise<[Store, Store]>;
}

/** Resolves with the next wake of `store` of that kind. */
function nextWake(store: Store, kind: Wake["kind"]): Promise<Wake> {
  return new Promise((resolve) => {
    const stop = store.subscribe((wake) => {
      if (wake.kind !== kind) return;
      stop();
      resolve(wake);
    });
  });
}

/** Repeats `work` until it succeeds, like the loops of the program. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 200) throw error;
      await delay(50);
    }
  }
}

test("schema.postgres.sql is the schema after all migrations", async (context) => {
  const store = await openForTest(context, create);
  assert.equal(
    await dumpPostgresSchema(store),
    readFileSync(new URL("../schema/schema.postgres.sql", import.meta.url), "utf8"),
    "renew it: node src/store/testing/dump-schema.ts postgres > src/store/schema/schema.postgres.sql",
  );
});

test("a change wakes the other processes, and its own process once", async (context) => {
  const [one, two] = await openTwo(context);
  const own: Wake[] = [];
  one.subscribe((wake) => own.push(wake));
  const received = nextWake(two, "queue");
  await insertJob(one, newJob("job1"));
  assert.deepEqual(await received, { kind: "queue", jobId: "job1" });
  // This wake of `two` arrives after any wake that `one` could have received from itself.
  const answered = nextWake(one, "job");
  await claim(two, "job1");
  await answered;
  assert.deepEqual(
    own.map((wake) => wake.kind),
    ["queue", "job"],
  );
});

test("a killed and restarted server causes only `unavailable` errors", async (context) => {
  const [one, two] = await openTwo(context);
  await insertJob(one, newJob("before"));
  const [missed, missedToo] = [nextWake(one, "all"), nextWake(two, "all")];
  await server.kill();
  const outcomes = await Promise.allSettled([insertJob(one, newJob("lost")), getJob(one, "before")]);
  for (const outcome of outcomes) {
    assert.equal(outcome.status, "rejected");
    assert.ok(isSolsticeError(outcome.reason, "unavailable"), String(outcome.reason));
  }
  await server.start();
  await eventually(() => insertJob(one, newJob("after")));
  assert.deepEqual((await listJobs(two, { limit: 9 })).map((job) => job.id).sort(), ["after", "before"]);
  await Promise.all([missed, missedToo]);
  const received = nextWake(two, "job");
  await claim(one, "after");
  await received;
});

test("acknowledged writes are kept while the server is killed repeatedly", async (context) => {
  const store = await openForTest(context, create);
  const acknowledged: string[] = [];
  let isDone = false;
  const write = async (writer: number) => {
    for (let index = 0; !isDone; index += 1) {
      const id = `job${writer}x${index}`;
      const job = newJob(id);
      await eventually(() => insertJob(store, job));
      acknowledged.push(id);
    }
  };
  const writers = Promise.all([1, 2, 3, 4, 5, 6].map(write));
  for (let round = 1; round <= 3; round += 1) {
    const before = acknowledged.length;
    while (acknowledged.length < before + 50) await delay(5);
    await server.kill();
    await server.start();
  }
  isDone = true;
  await writers;
  for (const id of acknowledged) assert.equal((await getJob(store, id))?.state, "queued", `${id} is lost`);
});

test("a claim does not wait for a concurrent claim of the same job", async (context) => {
  const [one, two] = await openTwo(context);
  await insertJob(one, newJob("job1"));
  await one.db.transaction().execute(async (trx) => {
    await sql`select id from jobs where id = 'job1' for update`.execute(trx);
    assert.equal(await claim(two, "job1"), null);
  });
  assert.notEqual(await claim(two, "job1"), null);
});

test("two transactions that lock the same rows in a different order both succeed", async (context) => {
  const [one, two] = await openTwo(context);
  for (const id of ["a", "b"]) await insertJob(one, newJob(id));
  const touch = (store: Store, first: string, second: string) =>
    store.write(async (trx) => {
      for (const id of [first, second]) {
        await trx
          .updateTable("jobs")
          .set((row) => ({ cpu: row("cpu", "+", 1) }))
          .where("id", "=", id)
          .execute();
        await delay(50);
      }
    });
  const before = (await getJob(one, "a"))?.size.cpu ?? 0;
  await Promise.all([touch(one, "a", "b"), touch(two, "b", "a")]);
  for (const id of ["a", "b"]) assert.equal((await getJob(two, id))?.size.cpu, before + 2);
});

test("a runner's start and its host's record of the guest's start do not deadlock", async (context) => {
  const [guest, host] = await openTwo(context);
  let tries = 0;
  const count = 20;
  for (let index = 0; index < count; index += 1) {
    const jobId = `job${index}`;
    await insertClaimed(guest, jobId);
    const accept = () => {
      tries += 1;
    };
    const hashes = { bootstrapTokenHash: `boot-${jobId}-2000`, sessionTokenHash: `session-${jobId}` };
    const boot = { jobId, attempt: 1, event: "boot", machine: "running", at: 1 } as const;
    await Promise.all([startSession(guest, { ...hashes, at: 1, accept }), applyEvent(host, boot)]);
    assert.equal((await getJob(guest, jobId))?.state, "running");
  }
  // After a deadlock one of the two transactions would be undone and tried again.
  assert.equal(tries, count);
});

test("a transaction with a failed statement is an error, even when its work continues", async (context) => {
  const store = await openForTest(context, create);
  const written = store.write(async (trx) => {
    await sql`select 1 / 0`.execute(trx).catch(() => {});
  });
  await assert.rejects(written, { code: "internal" });
});

test("large numbers, bytes and texts are read unchanged; a NUL in a text is replaced", async (context) => {
  const store = await openForTest(context, create);
  const submittedAt = 1_900_000_000_123;
  await insertClaimed(store, "job1", { submittedAt, fairKey: "owner\0/repository" });
  assert.equal((await getJob(store, "job1"))?.submittedAt, submittedAt);
  const ended = verdict("guest_stopped", "Its last words: \0 größe 𝄞");
  await applyEvent(store, { jobId: "job1", attempt: 1, event: "conclude", at: 1, verdict: ended });
  assert.equal((await getJob(store, "job1"))?.verdict?.message, "Its last words: \ufffd größe 𝄞");
  assert.equal(await getJob(store, "job\0"), null);
  const data = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const key = { jobId: "job1", attempt: 1, stream: "output", offset: 0 } as const;
  await appendLog(store, { ...key, data, limitBytes: 999 });
  assert.deepEqual(await readLog(store, { ...key, maxBytes: 999 }), data);
  const sums = await sql`select sum(received) as sum, count(*) as count from logs`.execute(store.db);
  assert.deepEqual(sums.rows, [{ sum: 256, count: 1 }]);
});

test("commits are confirmed from the disk, whatever the server's setting", async (context) => {
  const url = await server.createDatabase();
  const first = await openAt(url);
  await sql`alter database ${sql.ref(new URL(url).pathname.slice(1))} set synchronous_commit = off`.execute(
    first.db,
  );
  await first.close();
  const store = await openAt(url);
  context.after(() => store.close());
  const shown = await sql`show synchronous_commit`.execute(store.db);
  assert.deepEqual(shown.rows, [{ synchronous_commit: "on" }]);
});

test("a statement outdated by a newer schema fails once with a retryable error, and then succeeds", async (context) => {
  const [store, newer] = await openTwo(context);
  await insertJob(store, newJob("job1"));
  await getJob(store, "job1");
  await sql`alter table jobs add column of_a_newer_version text`.execute(newer.db);
  await assert.rejects(getJob(store, "job1"), (error) => {
    assert.ok(isSolsticeError(error, "unavailable") && isWorthRepeating(error), String(error));
    return true;
  });
  assert.equal((await eventually(() => getJob(store, "job1")))?.id, "job1");
});

test("a missing database or server is named without its password", async () => {
  const secret = "hunter2";
  const missing = server.url("missing").replace("solstice@", `solstice:${secret}@`);
  const refused = (url: string) =>
    openPostgresStore({ url, waitSeconds: 0, log }).then(
      () => assert.fail("it opened"),
      (error: unknown) => error,
    );
  const noDatabase = await refused(missing);
  assert.ok(isSolsticeError(noDatabase, "store_failed"));
  assert.match(`${noDatabase.message} ${noDatabase.remedy}`, /127\.0\.0\.1:\d+\/missing.*createdb/);
  const noServer = await refused(`postgres://solstice:${secret}@127.0.0.1:1/solstice`);
  assert.ok(isSolsticeError(noServer, "unavailable"));
  for (const error of [noDatabase, noServer])
    assert.doesNotMatch(`${error.message} ${error.remedy}`, /hunter2/);
});

test("the start waits for a server that starts late", async (context) => {
  const url = await server.createDatabase();
  await server.kill();
  const lines: string[] = [];
  const opening = openPostgresStore({
    url,
    waitSeconds: 60,
    log: { ...silentLog, warn: (_, line) => void lines.push(line) },
  });
  while (lines.length === 0) await delay(10);
  await server.start();
  const store = await opening;
  context.after(() => store.close());
  assert.match(lines.join(), /Waiting for the database, at most 60 s\./);
  await insertJob(store, newJob("job1"));
});
