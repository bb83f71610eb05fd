import { drainTexts, type HostDrain } from "../hosts/host-drain.ts";
import type { JobState } from "../job/job-state.ts";
import { leftToOthers, otherHostFirstMs } from "./other-host-first.ts";
import {
  cappedNames,
  type QueuedJob,
  type RunningJob,
  type SchedulerSnapshot,
  schedule,
} from "./scheduler.ts";

/** The first reason why a job waits, in the order of the checks. */
export const constraints = [
  "not_waiting",
  "no_host",
  "no_backend",
  "draining",
  "paused",
  "starting",
  "other_host_first",
  "image_not_ready",
  "label_cap",
  "global_cap",
  "behind_others",
] as const;

/** One of {@link constraints}. */
export type Constraint = (typeof constraints)[number];

/** Reason why a job waits, and the expected end of the wait. */
export interface Explanation {
  readonly constraint: Constraint;
  /** One sentence for a person, with the numbers. */
  readonly message: string;
  /** Estimated start, in ms since the epoch; null without data for an estimate. */
  readonly estimatedStartAt: number | null;
}

/** The scheduler's snapshot, and durations of past jobs with the explained job's label. */
export interface ExplainSnapshot extends SchedulerSnapshot {
  /** In ms, from claim to end; empty before the first job has finished. */
  readonly recentDurations: readonly number[];
  /** True when more jobs wait than `queued` holds: the number of jobs ahead is then too low. */
  readonly queuedIsCut: boolean;
  /** Reason for the host's drain; null when it does not drain. */
  readonly drain: HostDrain | null;
  /** Reason why a serving host starts no jobs; null when it does. */
  readonly paused: string | null;
}

/** A shared limit that the job waits for: `used` of `cap` slots are taken, `ahead` waiting jobs are due before it. */
interface Bottleneck {
  readonly cap: number;
  readonly used: number;
  readonly ahead: number;
  /** True when more jobs than `ahead` may be due before it. */
  readonly isCut: boolean;
}

/**
 * Explains why a job waits. Agrees with {@link schedule}: exactly the jobs that would start now are `starting`. The job
 * may be missing in `queued` when that list was cut.
 */
export function explain(job: QueuedJob & { readonly state: JobState }, known: ExplainSnapshot): Explanation {
  if (job.state !== "queued") return explanation("not_waiting", `The job does not wait: it is ${job.state}.`);
  const isListed = known.queued.some((queued) => queued.id === job.id);
  const snapshot = isListed ? known : { ...known, queued: [...known.queued, job] };
  if (snapshot.draining) {
    return explanation("draining", `${drainTexts[snapshot.drain ?? "stopping"]} The job stays queued.`);
  }
  if (snapshot.paused !== null)
    return explanation("paused", `The host starts no jobs for now: ${snapshot.paused}`);
  if (schedule(snapshot).includes(job.id)) {
    return explanation("starting", "The job is about to start.", snapshot.now);
  }
  if (job.lastAttempt !== null && leftToOthers(job, snapshot)) {
    return leftToOtherHost(job.lastAttempt.endedAt + otherHostFirstMs);
  }
  if (!snapshot.imageReady(job.image)) {
    return explanation("image_not_ready", `Image ${job.image} is not ready yet; the job starts when it is.`);
  }
  return fullName(job, snapshot) ?? fullHost(job, snapshot) ?? behindOthers(job, snapshot);
}

function explanation(
  constraint: Constraint,
  message: string,
  estimatedStartAt: number | null = null,
): Explanation {
  return { constraint, message, estimatedStartAt };
}

function leftToOtherHost(until: number): Explanation {
  const message =
    "The last attempt of the job was on this host, which leaves the job to another host with a free slot " +
    `until ${new Date(until).toISOString()}.`;
  return explanation("other_host_first", message, until);
}

function fullName(job: QueuedJob, snapshot: ExplainSnapshot): Explanation | null {
  for (const name of cappedNames(job)) {
    const bottleneck = bottleneckOfName(job, name, snapshot);
    if (bottleneck.used < bottleneck.cap) continue;
    const kind = name === job.label ? "Label" : "Image";
    const message = `${kind} ${name} is full: ${numbers(bottleneck)}.`;
    return explanation("label_cap", message, estimate(bottleneck, snapshot));
  }
  return null;
}

function fullHost(job: QueuedJob, snapshot: ExplainSnapshot): Explanation | null {
  const bottleneck = bottleneckOfHost(job, snapshot);
  if (bottleneck.used < bottleneck.cap) return null;
  return explanation(
    "global_cap",
    `All slots are taken: ${numbers(bottleneck)}.`,
    estimate(bottleneck, snapshot),
  );
}

/** Slots (of the host, or of a capped name) are free, but jobs that are due earlier take them. */
function behindOthers(job: QueuedJob, snapshot: ExplainSnapshot): Explanation {
  const bottlenecks = [
    bottleneckOfHost(job, snapshot),
    ...cappedNames(job).map((name) => bottleneckOfName(job, name, snapshot)),
  ];
  const estimates = bottlenecks.map((bottleneck) => estimate(bottleneck, snapshot));
  const latest = estimates.includes(null) ? null : Math.max(...estimates.map(Number));
  const ahead = Math.max(...bottlenecks.map((bottleneck) => bottleneck.ahead));
  return explanation(
    "behind_others",
    `Free slots go to jobs that are due earlier: ${aheadOf(ahead, snapshot.queuedIsCut)}.`,
    latest,
  );
}

function bottleneckOfHost(job: QueuedJob, snapshot: ExplainSnapshot): Bottleneck {
  return {
    cap: snapshot.maxConcurrency,
    used: snapshot.running.length,
    ahead: countAhead(job, snapshot, () => true),
    isCut: snapshot.queuedIsCut,
  };
}

function bottleneckOfName(job: QueuedJob, name: string, snapshot: ExplainSnapshot): Bottleneck {
  const named = (other: QueuedJob | RunningJob) => cappedNames(other).includes(name);
  return {
    cap: snapshot.labelCaps.get(name) ?? Infinity,
    used: snapshot.running.filter(named).length,
    ahead: countAhead(job, snapshot, named),
    isCut: snapshot.queuedIsCut,
  };
}

/** Number of jobs that compete for the same slots and would start before `job` if there were room for all. */
function countAhead(
  job: QueuedJob,
  snapshot: ExplainSnapshot,
  competes: (other: QueuedJob) => boolean,
): number {
  const competitors = snapshot.queued.filter((other) => competes(other) && snapshot.imageReady(other.image));
  return schedule({
    ...snapshot,
    queued: competitors,
    maxConcurrency: Infinity,
    labelCaps: new Map(),
  }).indexOf(job.id);
}

/**
 * Each of the `cap` slots is freed once per typical duration, so the next `ahead + 1` of them take this long. Null when
 * the number of jobs ahead is too low.
 */
function estimate({ cap, used, ahead, isCut }: Bottleneck, snapshot: ExplainSnapshot): number | null {
  if (isCut) return null;
  const wanted = ahead + 1 - Math.max(0, cap - used);
  if (wanted <= 0) return snapshot.now;
  const typical = median(snapshot.recentDurations);
  if (typical === null || cap <= 0) return null;
  return Math.round(snapshot.now + (typical * wanted) / cap);
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

function numbers({ cap, used, ahead, isCut }: Bottleneck): string {
  return `${used} of ${cap} running; ${aheadOf(ahead, isCut)}`;
}

function aheadOf(ahead: number, isCut: boolean): string {
  if (isCut) return `at least ${ahead} ${ahead === 1 ? "job is" : "jobs are"} ahead`;
  return ahead === 1 ? "1 job is ahead" : `${ahead === 0 ? "no" : ahead} jobs are ahead`;
}
