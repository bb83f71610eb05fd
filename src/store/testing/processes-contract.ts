import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { applyEvent, getJob, insertJob, listJobs, listTransitions } from "../jobs/jobs.ts";
import { appendLog, readLog } from "../logs/logs.ts";

import type { Store } from "../store.ts";
import { bindSession, claim, insertClaimed, newJob } from "./sample-jobs.ts";
import { type CreateDatabase, openSeveral } from "./test-database.ts";

const migrateFurther = fileURLToPath(new URL("./migrate-further.ts", import.meta.url));
const insertForever = fileURLToPath(new URL("./insert-forever.ts", import.meta.url));

/** Number of acknowledgements that are read before the child is killed, in the middle of the next ones. */
const acknowledgementsBeforeKill = 150;

/** Several processes on one database: independent handles, and a process that is killed. */
export function processesContract(create: CreateDatabase, createNew: CreateDatabase): void {
  describe("several processes", () => {
    migrationRaces(createNew);
    races(create);
  });
  describe("durability", () => durability(createNew));
}

function migrationRaces(createNew: CreateDatabase): void {
  test("several processes that open an empty database at once all find the schema", async (context) => {
    const stores = await openSeveral(context, createNew, 8);
    for (const [index, store] of stores.entries()) await insertJob(store, newJob(`job${index}`));
    assert.equal((await listJobs(stores[0] as Store, { limit: 99 })).length, 8);
  });

  test("a new migration is applied by exactly one of two processes, and both open the database", async (context) => {
    const database = await createNew();
    context.after(() => database.remove());
    const store = await database.open();
    await insertJob(store, newJob("job1"));
    await store.close();
    const processes = [1, 2].map(() => startLines(migrateFurther, database.childArguments));
    for (const { lines } of processes) assert.equal((await lines.next()).value, "ready");
    for (const { child } of processes) child.stdin?.end("go\n");
    // The statement of the migration would fail if it were applied a second time.
    const printed = await Promise.all(processes.map(async ({ lines }) => (await lines.next()).value));
    assert.deepEqual(printed, ["opened", "opened"]);
    await Promise.all(processes.map(({ ended }) => ended));
    await assert.rejects(database.open(), { code: "store_failed", message: /newer schema \(9000_made_up\)/ });
  });
}

function races(create: CreateDatabase): void {
  test("a job is claimed by one host only", async (context) => {
    const [one, two] = (await openSeveral(context, create, 2)) as [Store, Store];
    const ids = Array.from({ length: 50 }, (_, index) => `job${index}`);
    await Promise.all(ids.map((id) => insertJob(one, newJob(id))));
    const claims = await Promise.all(ids.flatMap((id) => [claim(one, id, 1), claim(two, id, 2)]));
    assert.equal(claims.filter((job) => job !== null).length, ids.length);
    for (const id of ids) {
      const transitions = await listTransitions(two, id);
      assert.deepEqual(
        transitions.map((change) => change.to),
        ["queued", "provisioning"],
      );
    }
  });

  test("a request that arrives twice at once becomes one job", async (context) => {
    const [one, two] = (await openSeveral(context, create, 2)) as [Store, Store];
    const { request } = newJob("x");
    const answers = await Promise.all([
      insertJob(one, newJob("job1", { request })),
      insertJob(two, newJob("job2", { request })),
    ]);
    assert.deepEqual(answers.map((answer) => answer.existed).sort(), [false, true]);
    assert.equal(answers[0].job.id, answers[1].job.id);
  });

  test("an event that two processes apply at once happens once", async (context) => {
    const [one, two] = (await openSeveral(context, create, 2)) as [Store, Store];
    await insertClaimed(one, "job1");
    const boot = { jobId: "job1", attempt: 1, event: "boot" } as const;
    await Promise.all([applyEvent(one, { ...boot, at: 10 }), applyEvent(two, { ...boot, at: 20 })]);
    assert.equal((await getJob(one, "job1"))?.state, "booting");
    assert.equal((await listTransitions(one, "job1")).length, 3);
  });

  test("one session is bound, and one copy of a log is kept, whichever process handles the call", async (context) => {
    const stores = await openSeveral(context, create, 2);
    await insertClaimed(stores[0] as Store, "job1");
    const bound = await Promise.all(
      stores.map((store, index) =>
        bindSession(store, { bootstrapTokenHash: "boot-job1-2000", sessionTokenHash: `s${index}`, at: 1 }),
      ),
    );
    assert.equal(bound.filter((machine) => machine !== null).length, 1);
    const log = { jobId: "job1", attempt: 1, stream: "output", offset: 0 } as const;
    const data = Buffer.from("once");
    await Promise.all(stores.map((store) => appendLog(store, { ...log, data, limitBytes: 99 })));
    assert.equal((await readLog(stores[1] as Store, { ...log, maxBytes: 99 })).toString(), "once");
  });
}

function durability(create: CreateDatabase): void {
  test("acknowledged writes survive kill -9", async (context) => {
    const database = await create();
    context.after(() => database.remove());
    const child = spawn(process.execPath, [insertForever, ...database.childArguments], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const acknowledged = await readUntilKilled(child);
    const store = await database.open();
    context.after(() => store.close());
    assert.ok(acknowledged.length >= acknowledgementsBeforeKill);
    for (const id of acknowledged) {
      assert.equal((await getJob(store, id))?.state, "queued", `${id} is lost`);
      assert.equal((await listTransitions(store, id)).length, 1);
    }
  });

  test("a closed store has committed all accepted writes, and accepts no more", async (context) => {
    const database = await create();
    context.after(() => database.remove());
    const store = await database.open();
    const inserted = insertJob(store, newJob("job1"));
    await store.close();
    await inserted;
    await assert.rejects(insertJob(store, newJob("job2")), { code: "unavailable" });
    const again = await database.open();
    context.after(() => again.close());
    assert.equal((await getJob(again, "job1"))?.id, "job1");
  });
}

/** Starts one of the programs in this folder; returns the lines that the program prints. */
function startLines(program: string, args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, lines, ended: once(child, "exit") };
}

/** The ids that the child printed, each after its row was committed, until it was killed. */
async function readUntilKilled(child: ChildProcess): Promise<string[]> {
  const ended = once(child, "exit");
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout ?? assert.fail("no output") })) {
    acknowledged.push(line);
    if (acknowledged.length === acknowledgementsBeforeKill) child.kill("SIGKILL");
  }
  const [, signal] = await ended;
  assert.equal(signal, "SIGKILL");
  return acknowledged;
}
