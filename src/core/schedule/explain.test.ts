import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ExplainSnapshot, explain } from "./explain.ts";
import { type QueuedJob, type SchedulerSnapshot, schedule } from "./scheduler.ts";
import { arbitrarySnapshot, queuedJob, runningJob, snapshotOf } from "./testing/scheduler-snapshots.ts";

const waiting = (job: QueuedJob) => ({ ...job, state: "queued" as const });

function explainSnapshot(given: Partial<ExplainSnapshot>): ExplainSnapshot {
  const { recentDurations = [], paused = null, queuedIsCut = false, drain = null } = given;
  return { ...snapshotOf(given), recentDurations, paused, queuedIsCut, drain };
}

test("exactly the jobs that the scheduler would start are explained as starting", () => {
  fc.assert(
    fc.property(arbitrarySnapshot, (snapshot: SchedulerSnapshot) => {
      const chosen = new Set(schedule(snapshot));
      for (const job of snapshot.queued) {
        const rest = { recentDurations: [], paused: null, queuedIsCut: false, drain: null };
        const { constraint } = explain(waiting(job), { ...snapshot, ...rest });
        assert.equal(constraint === "starting", chosen.has(job.id));
      }
    }),
  );
});

test("the explanation of a job that does not wait names its state", () => {
  const { constraint, message } = explain(
    { ...queuedJob("a"), state: "running" },
    explainSnapshot({ queued: [] }),
  );
  assert.equal(constraint, "not_waiting");
  assert.equal(message, "The job does not wait: it is running.");
});

test("a full label is named with its numbers, and the estimate follows from the median", () => {
  const running = ["r1", "r2"].map((id) => runningJob(id, { label: "ubuntu" }));
  const queued = ["a", "b", "c", "d"].map((id, index) =>
    queuedJob(id, { label: "ubuntu", submittedAt: index }),
  );
  const snapshot = explainSnapshot({
    running,
    queued,
    labelCaps: new Map([["ubuntu", 2]]),
    recentDurations: [1000, 5000, 60_000],
    now: 10_000,
  });
  assert.deepEqual(explain(waiting(queuedJob("d", { label: "ubuntu", submittedAt: 3 })), snapshot), {
    constraint: "label_cap",
    message: "Label ubuntu is full: 2 of 2 running; 3 jobs are ahead.",
    // The fourth slot to be freed, of two that are each freed every 5 s.
    estimatedStartAt: 20_000,
  });
});

test("a cap on the image is named as an image's cap", () => {
  const running = [runningJob("r", { label: "other", image: "debian" })];
  const job = queuedJob("a", { label: "debian-12", image: "debian" });
  const snapshot = explainSnapshot({ running, queued: [job], labelCaps: new Map([["debian", 1]]) });
  const { constraint, message, estimatedStartAt } = explain(waiting(job), snapshot);
  assert.equal(constraint, "label_cap");
  assert.equal(message, "Image debian is full: 1 of 1 running; no jobs are ahead.");
  assert.equal(estimatedStartAt, null);
});

test("a full host is named with its numbers; jobs that wait for an image are not ahead", () => {
  const job = queuedJob("a", { submittedAt: 5 });
  const snapshot = explainSnapshot({
    running: [runningJob("r")],
    queued: [job, queuedJob("b", { submittedAt: 1 }), queuedJob("c", { image: "missing" })],
    imageReady: (image) => image !== "missing",
    maxConcurrency: 1,
    recentDurations: [1000],
    now: 0,
  });
  const { constraint, message, estimatedStartAt } = explain(waiting(job), snapshot);
  assert.equal(constraint, "global_cap");
  assert.equal(message, "All slots are taken: 1 of 1 running; 1 job is ahead.");
  assert.equal(estimatedStartAt, 2000);
});

test("a job that loses the last free slot to an earlier job is behind that job", () => {
  const job = queuedJob("a", { submittedAt: 5 });
  const queued = [job, queuedJob("b", { submittedAt: 1 })];
  const snapshot = explainSnapshot({ queued, maxConcurrency: 1, recentDurations: [3000], now: 100 });
  assert.deepEqual(explain(waiting(job), snapshot), {
    constraint: "behind_others",
    message: "Free slots go to jobs that are due earlier: 1 job is ahead.",
    estimatedStartAt: 3100,
  });
});

test("an image that is not ready, a draining host, and a paused host are explained", () => {
  const job = queuedJob("a");
  const unready = explainSnapshot({ queued: [job], imageReady: () => false });
  assert.equal(explain(waiting(job), unready).constraint, "image_not_ready");
  const draining = explainSnapshot({ queued: [job], draining: true });
  assert.equal(explain(waiting(job), draining).constraint, "draining");
  const byRequest = explain(waiting(job), { ...draining, drain: "requested" });
  assert.match(byRequest.message, /solstice drain --end/);
  const paused = explain(
    waiting(job),
    explainSnapshot({ queued: [job], paused: "The disk is nearly full." }),
  );
  assert.equal(paused.constraint, "paused");
  assert.match(paused.message, /The disk is nearly full\.$/);
});

test("a job beyond the end of the listed queue is explained too", () => {
  const job = queuedJob("last", { submittedAt: 9 });
  const queued = [queuedJob("a"), queuedJob("b")];
  const snapshot = { queued, maxConcurrency: 1, recentDurations: [3000], queuedIsCut: true };
  assert.deepEqual(explain(waiting(job), explainSnapshot(snapshot)), {
    constraint: "behind_others",
    message: "Free slots go to jobs that are due earlier: at least 2 jobs are ahead.",
    estimatedStartAt: null,
  });
});
