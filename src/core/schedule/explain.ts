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

/** The first thing that holds a waiting job back, in the order in which they are looked for. */
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

/** Why a job waits, and for how long still. */
export interface Explanation {
  readonly constraint: Constraint;
  /** One sentence for a person, with the numbers. */
  readonly message: string;
  /** When it may start, in ms since the epoch; null where nothing is known to estimate it from. */
  readonly estimatedStartAt: number | null;
}

/** What the scheduler saw, and what past jobs of the explained job's label took. */
export interface ExplainSnapshot extends SchedulerSnapshot {
  /** In ms, from claim to end; empty when none has finished yet. */
  readonly recentDurations: readonly number[];
  /** Whether more jobs wait than `queued` holds: what is ahead is then counted too low. */
  readonly queuedIsCut: boolean;
  /** Why the host drains; null where it does not. */
  readonly drain: HostDrain | null;
  /** Why the host starts nothing although it serves; null when it does. */
  readonly paused: string | null;
}

/** A shared limit that the job waits for: `used` of `cap` slots are taken, `ahead` waiting jobs are due before it. */
interface Bottleneck {
  readonly cap: number;
  readonly used: number;
  readonly ahead: number;
  /** Whether more may be ahead than that. */
  readonly isCut: boolean;
}

/**
 * Says why a job waits. It agrees with {@link schedule}: what that would start now is `starting`, and nothing else. The
 * job may be missing in `queued` where that was cut short.
 */
export function explain(job: QueuedJob & { readonly state: JobState }, known: ExplainSnapshot): Explanation {
  if (job.state !== "queued") return explanation("not_waiting", `The job does not wait: it is ${job.state}.`);
  const isListed = known.queued.some((queued) => queued.id === job.id);
  const snapshot = isListed ? known : { ...known, queued: [...known.queued, job] };
  if (snapshot.draining) {
    return explanation("draining", `${drainTexts[snapshot.drain ?? "stopping"]} The job stays queued.`);
  }
  if (snapshot.paused !== null)
    return explanation("paused", `The host starts no jobs now: ${snapshot.paused}`);
  if (schedule(snapshot).includes(job.id)) {
    return explanation("starting", "The job is about to start.", snapshot.now);
  }
  if (job.lastAttempt !== null && leftToOthers(job, snapshot)) {
    return leftForNow(job.lastAttempt.endedAt + otherHostFirstMs);
  }
  if (!snapshot.imageReady(job.image)) {
    return explanation("image_not_ready", `Image ${job.image} is not ready yet; the job starts after that.`);
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

function leftForNow(until: number): Explanation {
  const message =
    "The last attempt of the job was on this host, which leaves it to another that has room " +
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

/** Slots are free, but jobs that are due earlier take them: of the host, or of a capped name. */
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

/** How many of the jobs that compete for the same slots would start before `job` if there were room for all. */
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
 * With `cap` slots that are each freed once per typical duration, the next `ahead + 1` of them take this long. Nothing is
 * estimated from a count that is too low.
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
