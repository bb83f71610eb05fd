import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  ageingMs,
  cappedNames,
  fairnessMs,
  type QueuedJob,
  type SchedulerSnapshot,
  schedule,
} from "./scheduler.ts";
import { arbitrarySnapshot, queuedJob, runningJob, snapshotOf } from "./testing/scheduler-snapshots.ts";

function chosenJobs(snapshot: SchedulerSnapshot): QueuedJob[] {
  const byId = new Map(snapshot.queued.map((job) => [job.id, job]));
  return schedule(snapshot).map((id) => byId.get(id) ?? assert.fail(`${id} does not wait`));
}

/**
 * True when `job` could start beside everything that runs and was chosen already. Written again, independent of the
 * code under test.
 */
function fits(snapshot: SchedulerSnapshot, chosen: readonly QueuedJob[], job: QueuedJob): boolean {
  const occupied = [...snapshot.running, ...chosen];
  const underCaps = [...snapshot.labelCaps].every(
    ([name, cap]) =>
      !(job.label === name || job.image === name) ||
      occupied.filter((other) => other.label === name || other.image === name).length < cap,
  );
  const isFree = occupied.length < snapshot.maxConcurrency;
  return isFree && underCaps && snapshot.imageReady(job.image) && !snapshot.draining;
}

function slotsOf(snapshot: SchedulerSnapshot, chosen: readonly QueuedJob[], fairKey: string): number {
  return [...snapshot.running, ...chosen].filter((job) => job.fairKey === fairKey).length;
}

test("never goes over a cap, and starts each job at most once", () => {
  fc.assert(
    fc.property(arbitrarySnapshot, (snapshot) => {
      const chosen = chosenJobs(snapshot);
      assert.equal(new Set(chosen).size, chosen.length);
      for (const [index, job] of chosen.entries()) assert.ok(fits(snapshot, chosen.slice(0, index), job));
    }),
  );
});

test("leaves no slot idle while a waiting job could use it", () => {
  fc.assert(
    fc.property(arbitrarySnapshot, (snapshot) => {
      const chosen = chosenJobs(snapshot);
      const left = snapshot.queued.filter((job) => !chosen.includes(job));
      for (const job of left) assert.ok(!fits(snapshot, chosen, job), `${job.id} could run`);
    }),
  );
});

test("oldest first within a repository, label, image and priority", () => {
  fc.assert(
    fc.property(arbitrarySnapshot, (snapshot) => {
      const chosen = chosenJobs(snapshot);
      for (const job of chosen) {
        const passedOver = snapshot.queued.filter(
          (other) =>
            !chosen.slice(0, chosen.indexOf(job)).includes(other) &&
            other.fairKey === job.fairKey &&
            other.label === job.label &&
            other.image === job.image &&
            other.priority === job.priority &&
            other.submittedAt < job.submittedAt,
        );
        assert.deepEqual(passedOver, []);
      }
    }),
  );
});

test("within a priority no repository with fewer slots is passed over for a repository with more", () => {
  fc.assert(
    fc.property(arbitrarySnapshot, (snapshot) => {
      const chosen = chosenJobs(snapshot);
      for (const [index, job] of chosen.entries()) {
        const before = chosen.slice(0, index);
        const rivals = snapshot.queued.filter(
          (other) =>
            !before.includes(other) && other.priority === job.priority && fits(snapshot, before, other),
        );
        const fewest = Math.min(...rivals.map((other) => slotsOf(snapshot, before, other.fairKey)));
        assert.equal(slotsOf(snapshot, before, job.fairKey), fewest);
      }
    }),
  );
});

test("does not depend on the order in which jobs are listed", () => {
  const shuffled = arbitrarySnapshot.chain((snapshot) =>
    fc
      .shuffledSubarray([...snapshot.queued], { minLength: snapshot.queued.length })
      .map((queued) => ({ snapshot, queued })),
  );
  fc.assert(
    fc.property(shuffled, ({ snapshot, queued }) => {
      assert.deepEqual(schedule({ ...snapshot, queued }), schedule(snapshot));
    }),
  );
});

test("nothing starts while the host drains", () => {
  const queued = [queuedJob("a")];
  assert.deepEqual(schedule(snapshotOf({ queued })), ["a"]);
  assert.deepEqual(schedule(snapshotOf({ queued, draining: true })), []);
});

test("a full label and an image that is not ready do not hold other jobs back", () => {
  const queued = [
    queuedJob("full", { label: "ubuntu", priority: 9, submittedAt: 1 }),
    queuedJob("unready", { image: "missing", priority: 9, submittedAt: 2 }),
    queuedJob("free", { submittedAt: 3 }),
  ];
  const running = [runningJob("r", { label: "ubuntu" })];
  const labelCaps = new Map([["ubuntu", 1]]);
  const imageReady = (image: string) => image !== "missing";
  const snapshot = snapshotOf({ queued, running, labelCaps, imageReady, maxConcurrency: 2 });
  assert.deepEqual(schedule(snapshot), ["free"]);
});

test("a cap on an image counts every label that resolves to it; a cap on an alias counts only the alias", () => {
  const queued = ["a", "b", "c"].map((id) => queuedJob(id, { label: `alias-${id}`, image: "debian" }));
  const capped = (name: string, cap: number) =>
    schedule(snapshotOf({ queued, labelCaps: new Map([[name, cap]]) }));
  assert.deepEqual(capped("debian", 2), ["a", "b"]);
  assert.deepEqual(capped("alias-a", 0), ["b", "c"]);
});

test("a job whose label is its image counts once for its cap", () => {
  const queued = ["a", "b"].map((id) => queuedJob(id, { label: "debian", image: "debian" }));
  assert.deepEqual(cappedNames({ label: "debian", image: "debian" }), ["debian"]);
  assert.deepEqual(schedule(snapshotOf({ queued, labelCaps: new Map([["debian", 2]]) })), ["a", "b"]);
});

test("a higher priority goes first, until a job of a lower priority has waited long enough", () => {
  const now = 100 * ageingMs;
  const order = (waitedMs: number) =>
    schedule(
      snapshotOf({
        now,
        queued: [
          queuedJob("low", { priority: 0, submittedAt: now - waitedMs }),
          queuedJob("high", { priority: 2, submittedAt: now }),
        ],
      }),
    );
  assert.deepEqual(order(ageingMs * 3 - 1), ["high", "low"]);
  assert.deepEqual(order(ageingMs * 3), ["low", "high"]);
});

test("a repository's old backlog does not hold back another repository's new job", () => {
  const now = 12 * 60 * 60 * 1000;
  const backlog = Array.from({ length: 50 }, (_, index) =>
    queuedJob(`old${index}`, { fairKey: "busy", submittedAt: index }),
  );
  const fresh = queuedJob("fresh", { fairKey: "quiet", submittedAt: now });
  const running = [runningJob("r", { fairKey: "busy" })];
  assert.equal(schedule(snapshotOf({ now, queued: [...backlog, fresh], running }))[0], "fresh");
});

test("a job that has waited for days comes before fairness", () => {
  const now = 10 * fairnessMs;
  const old = queuedJob("old", { fairKey: "busy", submittedAt: now - fairnessMs - 1 });
  const fresh = queuedJob("fresh", { fairKey: "quiet", submittedAt: now });
  const running = [runningJob("r", { fairKey: "busy" })];
  assert.deepEqual(schedule(snapshotOf({ now, queued: [fresh, old], running })), ["old", "fresh"]);
});

test("every job starts eventually, even under a sustained load of higher priorities", () => {
  const patient = queuedJob("patient", { priority: -5, fairKey: "busy", submittedAt: 0 });
  const tickMs = 10 * 60_000;
  let queued = [patient];
  let running = [runningJob("holds", { fairKey: "busy" })];
  // Each tick a slot is freed and two more important jobs arrive, one of them of a new repository, while the patient
  // job's own repository always holds a slot. Without ageing, or without the limit on fairness, the job starves.
  const startedAtTick = Array.from({ length: 400 }, (_, tick) => tick + 1).find((tick) => {
    const now = tick * tickMs;
    running = running.slice(0, 1);
    queued.push(queuedJob(`p${tick}`, { priority: 5, fairKey: "other", submittedAt: now }));
    queued.push(queuedJob(`n${tick}`, { priority: -5, fairKey: `new${tick}`, submittedAt: now }));
    const chosen = new Set(schedule(snapshotOf({ queued, running, now, maxConcurrency: 2 })));
    running.push(
      ...[...chosen].map((id) =>
        runningJob(
          id,
          queued.find((job) => job.id === id),
        ),
      ),
    );
    queued = queued.filter((job) => !chosen.has(job.id));
    return chosen.has("patient");
  });
  assert.ok(startedAtTick !== undefined, "the patient job never started");
});

test("ten thousand waiting jobs of five thousand repositories cost few comparisons", () => {
  const reads = { count: 0 };
  const queued = Array.from({ length: 10_000 }, (_, index) => {
    const job = queuedJob(`j${index}`, {
      fairKey: `repo${index % 5000}`,
      submittedAt: (index * 7919) % 10_000,
    });
    return {
      ...job,
      get submittedAt() {
        reads.count += 1;
        return job.submittedAt;
      },
    };
  });
  assert.equal(schedule(snapshotOf({ queued, maxConcurrency: 10_000 })).length, 10_000);
  // n log2 n is 133,000; a quadratic pass would read 100,000,000.
  assert.ok(reads.count < 3_000_000, `${reads.count} reads`);
});
