import { countedSlots } from "../../core/job/hold.ts";
import { CandidateWindow } from "../../core/schedule/candidate-window.ts";
import { freeSlotBeside, type RunningJob, schedule } from "../../core/schedule/scheduler.ts";
import { listSlots } from "../../store/jobs/capacity.ts";
import type { Wake } from "../../store/store.ts";
import { type Context, isImageReady } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";
import { type Claimer, createClaimer, startsJobs } from "./claim-jobs.ts";
import { createWindowFiller, type WindowFiller } from "./fill-window.ts";
import { freeSlotsOfOthers } from "./free-slots-of-others.ts";
import { refuseUnavailable } from "./refuse-unavailable.ts";

/**
 * Maximum pause between two rounds, in case every wake is lost, and between two searches for jobs whose image
 * is unavailable, in ms.
 */
const safetyPollMs = 5_000;

/** Maximum passes of one round, each after other hosts were faster, before other work continues. */
const maxPasses = 20;

/** The state shared by the rounds. */
interface Scheduling {
  readonly context: Context;
  readonly window: CandidateWindow;
  readonly filler: WindowFiller;
  readonly claimer: Claimer;
  /** True when no slot was free in the last round: new jobs then need no round. */
  isFull: boolean;
  /** The time of the next search for jobs whose image is unavailable, by `performance.now()`. */
  refuseAt: number;
}

/** The loop that assigns free slots to queued jobs. */
export interface Scheduler extends Loop {
  /** Resolves when no claim is in flight. */
  claimsEnded(): Promise<void>;
}

/** Starts the loop that assigns free slots to queued jobs. The store and images wake it. */
export function startScheduleLoop(context: Context): Scheduler {
  const scheduling: Scheduling = {
    context,
    window: new CandidateWindow(),
    filler: createWindowFiller(context.store),
    claimer: createClaimer(context),
    isFull: false,
    refuseAt: 0,
  };
  const loop = startLoop({ name: "schedule", log: context.log, run: () => runRound(scheduling) });
  const unsubscribe = [
    context.store.subscribe((wake) => {
      if (isNews(scheduling, wake)) loop.wake();
    }),
    context.images.onChange(() => {
      scheduling.window.noteChange();
      scheduling.refuseAt = 0;
      loop.wake();
    }),
  ];
  void loop.ended.then(() => {
    for (const stop of unsubscribe) stop();
  });
  return { ...loop, claimsEnded: () => scheduling.claimer.ended() };
}

/**
 * Records the changes of a wake, and returns true when a round is useful: a slot may be free, and a job may
 * need it.
 */
function isNews(scheduling: Scheduling, wake: Wake): boolean {
  const { window } = scheduling;
  switch (wake.kind) {
    case "log":
      return false;
    case "job":
      window.drop(wake.jobId);
      return wake.ended === true || wake.onHold === true;
    case "queue":
      window.noteChange();
      // A requeued job frees its slot, which may be on this host; one more round is cheap.
      return !scheduling.isFull || wake.requeued === true;
    case "all":
      window.noteChange();
      return true;
  }
}

async function runRound(scheduling: Scheduling): Promise<number> {
  const { context } = scheduling;
  // Covers changes without a wake, and lost wakes.
  if (performance.now() >= scheduling.refuseAt) {
    scheduling.window.noteChange();
    scheduling.refuseAt = performance.now() + safetyPollMs;
    if (startsJobs(context) && (await refuseUnavailable(context))) scheduling.refuseAt = 0;
  }
  const isDone = await startJobs(scheduling);
  return isDone ? Math.max(0, scheduling.refuseAt - performance.now()) : 0;
}

/**
 * Claims the jobs that can start now. False when there is more to do at once. The cost grows with the started
 * jobs, not with the waiting ones.
 */
async function startJobs(scheduling: Scheduling): Promise<boolean> {
  const { context, window, claimer } = scheduling;
  for (let pass = 0; pass < maxPasses; pass += 1) {
    if (!startsJobs(context)) return true;
    scheduling.isFull = false;
    await claimer.settle();
    const active = await listSlots(context.store, context.identity.hostId);
    const running = countedSlots(active, context.config.maxHolds);
    const free = context.config.maxConcurrency - running.length;
    scheduling.isFull = free <= 0;
    if (scheduling.isFull) return true;
    const chosen = await choose(scheduling, running);
    if (chosen.length === 0) return true;
    for (const jobId of chosen) window.drop(jobId);
    const claimed = await claimer.claim(chosen);
    // All jobs that could start have started, unless others were faster or the window had too few.
    if (claimed === free) return true;
  }
  return false;
}

/** Chooses the jobs to start from the window, which is filled first when important jobs may be missing. */
async function choose(scheduling: Scheduling, running: readonly RunningJob[]): Promise<string[]> {
  const { context, window, filler } = scheduling;
  const { maxConcurrency, capacityMap: labelCaps } = context.config;
  const imageReady = (image: string) => isImageReady(context, image);
  const hasFreeSlot = freeSlotBeside(running, labelCaps);
  const canStart = (group: { label: string; image: string }) => hasFreeSlot(group) && imageReady(group.image);
  const chooseNow = async () =>
    schedule({
      hostId: context.identity.hostId,
      othersHaveFreeSlot: await freeSlotsOfOthers(context, window.jobs()),
      queued: window.jobs().filter(canStart),
      running,
      maxConcurrency,
      labelCaps,
      imageReady,
      draining: false,
      now: Date.now(),
    });
  const mayMiss = window.mayMiss(canStart);
  if (!mayMiss) return await chooseNow();
  if (!window.isOld(performance.now())) {
    const chosen = await chooseNow();
    if (running.length + chosen.length >= maxConcurrency) return chosen;
  }
  await filler.fill(window, canStart);
  return await chooseNow();
}
