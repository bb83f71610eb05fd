import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExplainSnapshot } from "./explain.ts";
import { explainAcross } from "./explain-across.ts";
import { hostRecord } from "./testing/hosts.ts";
import { queuedJob, runningJob, snapshotOf } from "./testing/scheduler-snapshots.ts";

const job = { ...queuedJob("a"), state: "queued" as const };
const full = { maxConcurrency: 1, running: [runningJob("r")], recentDurations: [1000] };

function host(name: string, given: Partial<ExplainSnapshot> = {}) {
  const { recentDurations = [], paused = null, queuedIsCut = false, drain = null } = given;
  const schedulerSnapshot = snapshotOf({ queued: [job], now: 0, ...given });
  return { name, snapshot: { ...schedulerSnapshot, recentDurations, paused, queuedIsCut, drain } };
}

function constraintOf(...serving: ReturnType<typeof host>[]) {
  const live = serving.map(({ name }) => hostRecord(name));
  const { constraint, message } = explainAcross(job, { serving, live, lost: [] });
  return [constraint, message.split(":")[0]];
}

test("the host that can start the job soonest answers, and is named when there are several", () => {
  const available = host("h");
  const unready = host("u", { imageReady: () => false });
  const paused = host("p", { paused: "The disk is full." });
  const draining = host("d", { draining: true });
  const busy = host("b", full);
  assert.deepEqual(constraintOf(draining, paused, unready, busy, available), ["starting", "Host h"]);
  assert.deepEqual(constraintOf(draining, paused, unready, busy), ["global_cap", "Host b"]);
  assert.deepEqual(constraintOf(draining, paused, unready), ["image_not_ready", "Host u"]);
  assert.deepEqual(constraintOf(draining, paused), ["paused", "Host p"]);
  assert.deepEqual(constraintOf(draining)[0], "draining");
  assert.match(
    explainAcross(job, { serving: [available], live: [hostRecord("h")], lost: [] }).message,
    /^The job is about/,
  );
});

test("among hosts whose slots are taken, the one with the earliest estimate answers", () => {
  const slow = host("slow", { ...full, recentDurations: [9000] });
  const unknown = host("unknown", { ...full, recentDurations: [] });
  assert.deepEqual(constraintOf(unknown, slow, host("fast", full)), ["global_cap", "Host fast"]);
});

test("if no live host serves the image, lost hosts that did are named with the time of their loss", () => {
  const lost = [
    hostRecord("gone", { images: ["debian"], lostAt: Date.UTC(2026, 0, 2) }),
    hostRecord("other", { images: ["else"], lostAt: 1 }),
  ];
  const live = [hostRecord("here"), hostRecord("there")];
  const answer = explainAcross(job, { serving: [], live, lost });
  assert.equal(answer.constraint, "no_host");
  assert.equal(
    answer.message,
    "No live host serves image debian: gone served it until 2026-01-02T00:00:00.000Z.",
  );
  const never = explainAcross(job, { serving: [], live, lost: [] });
  assert.match(never.message, /no image map has it.*SIGHUP/);
  const ended = explainAcross({ ...job, state: "failed" }, { serving: [], live, lost: [] });
  assert.equal(ended.constraint, "not_waiting");
});
