import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { sql } from "kysely";
import { isSolsticeError } from "../../core/errors.ts";
import { getJob, insertJob } from "../jobs/jobs.ts";
import { openSqliteStore } from "../store.ts";
import { newJob } from "../testing/sample-jobs.ts";

async function databasePath(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "solstice-sqlite-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "state", "solstice.sqlite");
}

test("commits are flushed, references are kept, and only this user can read the file", async (context) => {
  const path = await databasePath(context);
  const store = await openSqliteStore({ path });
  context.after(() => store.close());
  const pragma = async (name: string) => {
    const result = await sql<Record<string, unknown>>`select * from ${sql.raw(`pragma_${name}`)}`.execute(
      store.db,
    );
    return Object.values(result.rows[0] ?? {})[0];
  };
  assert.equal(await pragma("journal_mode"), "wal");
  assert.equal(await pragma("synchronous"), 2);
  assert.equal(await pragma("foreign_keys"), 1);
  assert.equal((await stat(path)).mode & 0o077, 0);
});

test("a full disk is disk_full, and all acknowledged writes stay readable", async (context) => {
  const path = await databasePath(context);
  const store = await openSqliteStore({ path });
  context.after(() => store.close());
  await insertJob(store, newJob("job1"));
  const { rows } = await sql<{ page_count: number }>`select page_count from pragma_page_count`.execute(
    store.db,
  );
  // SQLite returns SQLITE_FULL at this limit, exactly as for a disk without a free block.
  await sql.raw(`pragma max_page_count = ${rows[0]?.page_count}`).execute(store.db);
  const big = newJob("big", { label: "x".repeat(2_000_000) });
  const outcomes = await Promise.allSettled([insertJob(store, newJob("small")), insertJob(store, big)]);
  const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  assert.ok(reasons.length > 0 && reasons.every((reason) => isSolsticeError(reason, "disk_full")));
  assert.ok(reasons.every((reason) => reason.cause instanceof Error));
  assert.equal((await getJob(store, "job1"))?.id, "job1");
  await sql.raw("pragma max_page_count = 1000000").execute(store.db);
  await insertJob(store, newJob("job2"));
  assert.equal((await getJob(store, "job2"))?.id, "job2");
});

test("a file that is not a database, and an impossible path, are store_failed with the cause", async (context) => {
  const path = await databasePath(context);
  await (await openSqliteStore({ path })).close();
  await writeFile(path, "this is not a database, and it is long enough to be taken for one".repeat(50));
  const isStoreFailed = (error: unknown) =>
    isSolsticeError(error, "store_failed") &&
    error.cause instanceof Error &&
    error.message.includes("solstice.sqlite");
  await assert.rejects(openSqliteStore({ path }), isStoreFailed);
  await assert.rejects(
    openSqliteStore({ path: join(path, "below-a-file", "solstice.sqlite") }),
    isStoreFailed,
  );
});

test("a database in memory is refused, and no file of that name appears", async () => {
  await assert.rejects(openSqliteStore({ path: ":memory:" }), /needs a file/);
  assert.ok(!existsSync(":memory:"));
});

test("a write waits for another process' transaction without blocking this process", async (context) => {
  const path = await databasePath(context);
  const store = await openSqliteStore({ path });
  context.after(() => store.close());
  const other = new DatabaseSync(path);
  context.after(() => other.close());
  other.exec("begin immediate");
  let isDone = false;
  const inserting = insertJob(store, newJob("job1")).then(() => {
    isDone = true;
  });
  // The event loop continues meanwhile, so that the other process can end its transaction.
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  assert.equal(isDone, false);
  other.exec("commit");
  await inserting;
  assert.equal((await getJob(store, "job1"))?.id, "job1");
});

test("space of deleted rows is returned to the disk", async (context) => {
  const path = await databasePath(context);
  const store = await openSqliteStore({ path });
  context.after(() => store.close());
  const mebibytes = 40;
  for (let index = 0; index < mebibytes; index += 1) {
    await insertJob(store, newJob(`job${index}`, { image: "x".repeat(1024 * 1024) }));
  }
  // The last row stays at the end of the file unless the vacuum moves it.
  await store.db
    .deleteFrom("jobs")
    .where("id", "!=", `job${mebibytes - 1}`)
    .execute();
  const before = (await stat(path)).size;
  const reclaimed = await store.reclaim();
  assert.ok(reclaimed > 0);
  assert.ok((await stat(path)).size <= before - reclaimed);
  assert.equal((await getJob(store, `job${mebibytes - 1}`))?.image.length, 1024 * 1024);
  assert.equal(await store.reclaim(), 0);
});
