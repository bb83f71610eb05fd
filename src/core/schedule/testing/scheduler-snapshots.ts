import fc from "fast-check";
import type { QueuedJob, RunningJob, SchedulerSnapshot } from "../scheduler.ts";

/** A waiting job for a test, with defaults except for `given`. */
export function queuedJob(id: string, given: Partial<QueuedJob> = {}): QueuedJob {
  return {
    id,
    label: "debian-12",
    image: "debian",
    fairKey: "repository",
    priority: 0,
    submittedAt: 0,
    lastAttempt: null,
    ...given,
  };
}

/** A job that occupies a slot, for a test. */
export function runningJob(id: string, given: Partial<RunningJob> = {}): RunningJob {
  const { label = "debian-12", image = "debian", fairKey = "repository" } = given;
  return { id, label, image, fairKey, state: "running" };
}

/** A snapshot with room for everything, except for `given`. */
export function snapshotOf(given: Partial<SchedulerSnapshot>): SchedulerSnapshot {
  return {
    hostId: "here",
    othersHaveFreeSlot: () => false,
    queued: [],
    running: [],
    maxConcurrency: 100,
    labelCaps: new Map(),
    imageReady: () => true,
    draining: false,
    now: 1_000_000_000,
    ...given,
  };
}

const labels = ["debian-12", "debian", "illumos"];
const images = ["debian", "ubuntu-cloud", "illumos"];
const kind = {
  label: fc.constantFrom(...labels),
  image: fc.constantFrom(...images),
  fairKey: fc.constantFrom("red", "green", "blue"),
};

/** Small snapshots in which jobs collide: few labels, images and repositories, caps that are reached, ages within a day. */
export const arbitrarySnapshot: fc.Arbitrary<SchedulerSnapshot> = fc
  .record({
    queued: fc.array(
      fc.record({
        ...kind,
        priority: fc.integer({ min: -1, max: 1 }),
        submittedAt: fc.integer({ min: 0, max: 3_600_000 }),
        lastAttempt: fc.constant(null),
      }),
      { maxLength: 30 },
    ),
    running: fc.array(fc.record(kind), { maxLength: 8 }),
    maxConcurrency: fc.integer({ min: 0, max: 12 }),
    caps: fc.dictionary(fc.constantFrom(...labels, ...images), fc.integer({ min: 0, max: 4 })),
    ready: fc.subarray(images, { minLength: 1 }),
    draining: fc.integer({ min: 0, max: 9 }).map((one) => one === 0),
    now: fc.integer({ min: 3_600_000, max: 7_200_000 }),
  })
  .map(({ caps, ready, ...rest }) => ({
    ...rest,
    hostId: "here",
    othersHaveFreeSlot: () => false,
    queued: rest.queued.map((job, index) => ({ id: `q${index}`, ...job })),
    running: rest.running.map((job, index) => ({ id: `r${index}`, state: "running" as const, ...job })),
    labelCaps: new Map(Object.entries(caps)),
    imageReady: (image: string) => ready.includes(image),
  }));
