import type { QueuedJob } from "./scheduler.ts";

/**
 * Largest age of a window that does not hold the whole queue, in ms. A new job waits at most so long until it is
 * compared with the older ones.
 */
export const windowMaxAgeMs = 250;

/** The part of the queue that one label and image have in a window. */
export interface GroupShare {
  readonly label: string;
  readonly image: string;
  /** True when the window has all jobs of the group; false also when the jobs could not start and so were not read. */
  readonly isWhole: boolean;
}

/**
 * The waiting jobs that a host considers, kept between rounds: the oldest of each lane (label, image, repository and
 * priority), as many as the host could start at once. The scheduler takes jobs from the front of each lane, so it makes
 * the same choice as from the whole queue, and the jobs behind cost nothing.
 * If there are too many lanes for one window, the next window starts where the last one ended, so every lane has its
 * turn.
 */
export class CandidateWindow {
  readonly #jobs = new Map<string, QueuedJob>();
  #groups: readonly GroupShare[] = [];
  #filledAt = Number.NEGATIVE_INFINITY;
  #hasChanged = true;

  /** Replaces the window by the jobs that were read from the queue since {@link beginFill}. */
  fill(jobs: readonly QueuedJob[], groups: readonly GroupShare[], now: number): void {
    this.#jobs.clear();
    for (const job of jobs) this.#jobs.set(job.id, job);
    this.#groups = groups;
    this.#filledAt = now;
  }

  /** Must be called before the queue is read: jobs that arrive from then on may be missed, and count as a change. */
  beginFill(): void {
    this.#hasChanged = false;
  }

  /** Marks the window as possibly incomplete: a job arrived, or an image became ready. */
  noteChange(): void {
    this.#hasChanged = true;
  }

  /** Removes a job that was claimed (by any host) or cancelled. */
  drop(jobId: string): void {
    this.#jobs.delete(jobId);
  }

  /** The candidates. */
  jobs(): QueuedJob[] {
    return [...this.#jobs.values()];
  }

  /**
   * True when the queue may hold jobs that could start and are not in the window. `canStart` is true for a label and
   * image with a free slot and a ready image.
   */
  mayMiss(canStart: (group: GroupShare) => boolean): boolean {
    return this.#hasChanged || this.#groups.some((group) => !group.isWhole && canStart(group));
  }

  /** True when the window is too old to be used again without a new read of the queue. */
  isOld(now: number): boolean {
    return now - this.#filledAt >= windowMaxAgeMs;
  }
}
