import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { CandidateWindow } from "../../core/schedule/candidate-window.ts";
import { freeSlotBeside, type SchedulerSnapshot, schedule } from "../../core/schedule/scheduler.ts";
import { arbitrarySnapshot } from "../../core/schedule/testing/scheduler-snapshots.ts";
import { insertJob } from "../../store/jobs/jobs.ts";
import { openSqliteStore, type Store } from "../../store/store.ts";
import { newJob } from "../../store/testing/sample-jobs.ts";
import { createWindowFiller } from "./fill-window.ts";

async function openForTest(context: TestContext): Promise<Store> {
  const directory = await mkdtemp(join(tmpdir(), "solstice-window-"));
  const store = await openSqliteStore({ path: join(directory, "store.sqlite") });
  context.after(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });
  return store;
}

async function refill(store: Store, snapshot: SchedulerSnapshot): Promise<void> {
  await store.write((trx) => trx.deleteFrom("jobs").execute());
  await Promise.all(snapshot.queued.map((job) => insertJob(store, newJob(job.id, job))));
}

function startable(snapshot: SchedulerSnapshot) {
  const hasFreeSlot = freeSlotBeside(snapshot.running, snapshot.labelCaps);
  return (group: { label: string; image: string }) => hasFreeSlot(group) && snapshot.imageReady(group.image);
}

test("a host chooses the same jobs from its window as from the whole queue", async (context) => {
  const store = await openForTest(context);
  await fc.assert(
    fc.asyncProperty(arbitrarySnapshot, async (snapshot) => {
      await refill(store, snapshot);
      const window = new CandidateWindow();
      await createWindowFiller(store).fill(window, startable(snapshot));
      assert.deepEqual(schedule({ ...snapshot, queued: window.jobs() }), schedule(snapshot));
    }),
    { numRuns: 100 },
  );
});

test("a window with fewer jobs of each lane chooses the same, if it has one for each free slot", async (context) => {
  const store = await openForTest(context);
  await fc.assert(
    fc.asyncProperty(arbitrarySnapshot, async (snapshot) => {
      await refill(store, snapshot);
      const free = Math.max(1, snapshot.maxConcurrency - snapshot.running.length);
      const window = new CandidateWindow();
      await createWindowFiller(store, { windowJobs: 1000, jobsPerLane: free }).fill(
        window,
        startable(snapshot),
      );
      assert.deepEqual(schedule({ ...snapshot, queued: window.jobs() }), schedule(snapshot));
    }),
    { numRuns: 100 },
  );
});

test("with more repositories than a window holds, the oldest job of each gets its turn", async (context) => {
  const store = await openForTest(context);
  const names = Array.from({ length: 40 }, (_, index) => `repository-${String(index).padStart(2, "0")}`);
  for (const fairKey of names) {
    for (const age of [1, 2, 3])
      await insertJob(store, newJob(`${fairKey}-${age}`, { fairKey, submittedAt: age }));
  }
  const filler = createWindowFiller(store, { windowJobs: 6, jobsPerLane: 2 });
  const startedIds = new Set<string>();
  const sizes: number[] = [];
  for (let fills = 0; fills < 14; fills += 1) {
    const window = new CandidateWindow();
    await filler.fill(window, () => true);
    for (const job of window.jobs()) startedIds.add(job.id);
    sizes.push(window.jobs().length);
    assert.ok(window.mayMiss(() => true));
  }
  assert.deepEqual([...startedIds].sort(), names.flatMap((name) => [`${name}-1`, `${name}-2`]).sort());
  assert.ok(Math.max(...sizes) <= 16 && Math.min(...sizes) > 0, `${sizes}`);
});

test("a label without free slots is not read, and is read again when it has one", async (context) => {
  const store = await openForTest(context);
  await insertJob(store, newJob("full", { label: "full" }));
  await insertJob(store, newJob("free", { label: "free" }));
  const window = new CandidateWindow();
  await createWindowFiller(store).fill(window, ({ label }) => label === "free");
  assert.deepEqual(
    window.jobs().map((job) => job.id),
    ["free"],
  );
  assert.equal(
    window.mayMiss(({ label }) => label === "free"),
    false,
  );
  assert.equal(
    window.mayMiss(() => true),
    true,
  );
});
