import type { JobState } from "../job/job-state.ts";
import { Heap } from "./heap.ts";
import { type LastAttempt, leftToOthers } from "./other-host-first.ts";

/**
 * Ageing: each period of this length that a job has waited is worth one point of priority, so that no job waits forever
 * behind jobs of higher priority.
 */
export const ageingMs = 5 * 60 * 1000;

/**
 * Fairness: each slot that a repository holds sets its waiting jobs back by this much age. In practice that is "the
 * repository with the fewest slots first"; a limit rather than a rule, so that no job waits forever here either.
 */
export const fairnessMs = 24 * 60 * 60 * 1000;

/** The fields of a queued job that the scheduler needs. */
export interface QueuedJob {
  readonly id: string;
  readonly label: string;
  readonly image: string;
  readonly fairKey: string;
  readonly priority: number;
  /** When it was first submitted, in ms since the epoch: its age. A further attempt keeps the age. */
  readonly submittedAt: number;
  /** Host and time of the previous attempt; null while the job waits for its first attempt. */
  readonly lastAttempt: LastAttempt | null;
}

/** The fields of a job in a slot that the scheduler needs. */
export interface RunningJob {
  readonly id: string;
  readonly label: string;
  readonly image: string;
  readonly fairKey: string;
  readonly state: JobState;
}

/** Everything that a decision depends on. */
export interface SchedulerSnapshot {
  /** The host that decides. */
  readonly hostId: string;
  /** True when another host serves a job's image now and has a free slot for its label. */
  readonly othersHaveFreeSlot: (job: Pick<QueuedJob, "label" | "image">) => boolean;
  readonly queued: readonly QueuedJob[];
  readonly running: readonly RunningJob[];
  readonly maxConcurrency: number;
  /**
   * Number of jobs of a name that may run at once. A name is a requested label or an image; a job counts for both of
   * its names, and every cap on either of them applies.
   */
  readonly labelCaps: ReadonlyMap<string, number>;
  readonly imageReady: (image: string) => boolean;
  /** True while the host shuts down: it starts no more jobs. */
  readonly draining: boolean;
  /** In ms since the epoch. */
  readonly now: number;
}

/** Waiting jobs that differ for the scheduler only in their age, oldest first; `next` is the first not yet taken. */
interface Lane {
  readonly jobs: readonly QueuedJob[];
  next: number;
  /** The turn by which the heap sorted this lane; an outdated one is always too early. */
  turn: number;
}

/**
 * The ids of the jobs to claim now, in order.
 * 1. A job can start when a slot is free, its image is ready and no cap on its label or image is reached. A job whose
 * last attempt has just ended here is left to other hosts ({@link leftToOthers}). Jobs that cannot start are skipped,
 * and do not hold others back.
 * 2. Within one priority, the repository with the fewest slots comes first, then the oldest job ({@link fairnessMs}).
 * 3. Between priorities, the next job of each is compared: the highest priority first, where waiting counts as priority
 * ({@link ageingMs}).
 * Costs O(n log n) for n waiting jobs.
 */
export function schedule(snapshot: SchedulerSnapshot): string[] {
  if (snapshot.draining) return [];
  const slots = countSlots(snapshot);
  const queues = queuesByPriority(snapshot, slots);
  const chosen: string[] = [];
  while (snapshot.running.length + chosen.length < snapshot.maxConcurrency) {
    const queue = firstQueue(snapshot, slots, queues);
    if (queue === undefined) break;
    chosen.push(take(queue, slots).id);
  }
  return chosen;
}

/**
 * Returns a predicate that is true when the caps leave room for one more job of a label and image beside the running
 * jobs.
 */
export function freeSlotBeside(
  running: readonly RunningJob[],
  labelCaps: ReadonlyMap<string, number>,
): (job: Pick<QueuedJob, "label" | "image">) => boolean {
  const slots = new Slots();
  for (const job of running) slots.occupy(job);
  return (job) => cappedNames(job).every((name) => slots.named(name) < (labelCaps.get(name) ?? Infinity));
}

/** The names that caps may use for a job, each once: its label and its image. */
export function cappedNames(job: Pick<QueuedJob, "label" | "image">): string[] {
  return job.label === job.image ? [job.label] : [job.label, job.image];
}

/** Slots in use, by the names that caps use and by repository. Grows as jobs are chosen. */
class Slots {
  readonly #byName = new Map<string, number>();
  readonly #byRepository = new Map<string, number>();

  occupy(job: Pick<QueuedJob, "label" | "image" | "fairKey">): void {
    for (const name of cappedNames(job)) this.#byName.set(name, this.named(name) + 1);
    this.#byRepository.set(job.fairKey, this.ofRepository(job.fairKey) + 1);
  }

  named(name: string): number {
    return this.#byName.get(name) ?? 0;
  }

  ofRepository(fairKey: string): number {
    return this.#byRepository.get(fairKey) ?? 0;
  }
}

function countSlots(snapshot: SchedulerSnapshot): Slots {
  const slots = new Slots();
  for (const job of snapshot.running) slots.occupy(job);
  return slots;
}

/** The lanes of each priority as a heap, with the next lane on top. */
function queuesByPriority(snapshot: SchedulerSnapshot, slots: Slots): Heap<Lane>[] {
  const queues = new Map<number, Heap<Lane>>();
  // The scheduler reads only the first job of a lane, so jobs that are left to others must not be in it.
  const candidates = snapshot.queued.filter((job) => !leftToOthers(job, snapshot));
  for (const jobs of lanesOf(candidates)) {
    const lane = { jobs, next: 0, turn: 0 };
    const job = head(lane);
    lane.turn = turnOf(job, slots);
    const queue = queues.get(job.priority) ?? new Heap<Lane>(byTurn);
    queue.push(lane);
    queues.set(job.priority, queue);
  }
  return [...queues.values()];
}

function lanesOf(queued: readonly QueuedJob[]): Iterable<QueuedJob[]> {
  const lanes = new Map<string, QueuedJob[]>();
  for (const job of [...queued].sort(byAge)) {
    // No store keeps a NUL in a text, so it is a safe separator.
    const name = `${job.priority}\0${job.fairKey}\0${job.label}\0${job.image}`;
    const lane = lanes.get(name);
    if (lane === undefined) lanes.set(name, [job]);
    else lane.push(job);
  }
  return lanes.values();
}

/** The queue whose first job is the next to start; undefined when no waiting job can start. */
function firstQueue(
  snapshot: SchedulerSnapshot,
  slots: Slots,
  queues: readonly Heap<Lane>[],
): Heap<Lane> | undefined {
  let best: { queue: Heap<Lane>; job: QueuedJob } | undefined;
  for (const queue of queues) {
    const job = settleTop(snapshot, slots, queue);
    if (job === undefined) continue;
    if (best === undefined || byAgedPriority(snapshot.now, job, best.job) < 0) best = { queue, job };
  }
  return best?.queue;
}

/**
 * Brings the lane with the earliest current turn to the top, and returns its first job. Slots in use only grow during a
 * round, so a lane that cannot start is dropped for good, and a lane sorted by an old count is always too early.
 */
function settleTop(snapshot: SchedulerSnapshot, slots: Slots, queue: Heap<Lane>): QueuedJob | undefined {
  for (let lane = queue.peek(); lane !== undefined; lane = queue.peek()) {
    const job = head(lane);
    const turn = turnOf(job, slots);
    const startable = canStart(snapshot, slots, job);
    if (startable && turn === lane.turn) return job;
    queue.pop();
    if (!startable) continue;
    lane.turn = turn;
    queue.push(lane);
  }
  return undefined;
}

function canStart(snapshot: SchedulerSnapshot, slots: Slots, job: QueuedJob): boolean {
  const hasFreeSlot = (name: string) => slots.named(name) < (snapshot.labelCaps.get(name) ?? Infinity);
  return cappedNames(job).every(hasFreeSlot) && snapshot.imageReady(job.image);
}

function take(queue: Heap<Lane>, slots: Slots): QueuedJob {
  const lane = queue.pop() as Lane;
  const job = head(lane);
  slots.occupy(job);
  lane.next += 1;
  if (lane.next < lane.jobs.length) {
    lane.turn = turnOf(head(lane), slots);
    queue.push(lane);
  }
  return job;
}

function head(lane: Lane): QueuedJob {
  return lane.jobs[lane.next] as QueuedJob;
}

/** A job's turn within its priority: its age, set back by the slots that its repository holds. */
function turnOf(job: QueuedJob, slots: Slots): number {
  return job.submittedAt + slots.ofRepository(job.fairKey) * fairnessMs;
}

function byTurn(a: Lane, b: Lane): number {
  return a.turn - b.turn || byAge(head(a), head(b));
}

function byAge(a: QueuedJob, b: QueuedJob): number {
  return a.submittedAt - b.submittedAt || (a.id < b.id ? -1 : 1);
}

function byAgedPriority(now: number, a: QueuedJob, b: QueuedJob): number {
  const aged = (job: QueuedJob) => job.priority + Math.floor((now - job.submittedAt) / ageingMs);
  return aged(b) - aged(a) || b.priority - a.priority || byAge(a, b);
}
