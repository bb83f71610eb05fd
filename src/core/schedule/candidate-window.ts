import type { QueuedJob } from "./scheduler.ts";

/**
 * How old a window may get while there is more to see than it holds, in ms. So long at most a job that has just come is not
 * compared with those that were there.
 */
export const windowMaxAgeMs = 250;

/** The part of the queue that one label and image have in a window. */
export interface GroupShare {
  readonly label: string;
  readonly image: string;
  /** Whether the window got all jobs of the group; false as well when they could not start and so were not read. */
  readonly isWhole: boolean;
}

/**
 * The waiting jobs that a host considers, kept between rounds: of each lane (label, image, repository and priority) its
 * oldest, as many as the host could start at once. The scheduler takes each lane from its front, so within these it
 * chooses what it would choose of the whole queue, and the jobs behind cost nothing.
 *
 * Where there are too many lanes for one window, each next window goes on where the last one ended: every lane has its turn.
 */
export class CandidateWindow {
  readonly #jobs = new Map<string, QueuedJob>();
  #groups: readonly GroupShare[] = [];
  #filledAt = Number.NEGATIVE_INFINITY;
  #hasChanged = true;

  /** Replaces everything, by what was read from the queue since {@link beginFill}. */
  fill(jobs: readonly QueuedJob[], groups: readonly GroupShare[], now: number): void {
    this.#jobs.clear();
    for (const job of jobs) this.#jobs.set(job.id, job);
    this.#groups = groups;
    this.#filledAt = now;
  }

  /** To be called before the queue is read: what comes from now on may be missed, and counts as a change. */
  beginFill(): void {
    this.#hasChanged = false;
  }

  /** The window may miss something: a job came, or an image became ready. */
  noteChange(): void {
    this.#hasChanged = true;
  }

  /** Takes a job out that was claimed or cancelled, by whomever. */
  drop(jobId: string): void {
    this.#jobs.delete(jobId);
  }

  /** The candidates. */
  jobs(): QueuedJob[] {
    return [...this.#jobs.values()];
  }

  /**
   * Whether the queue may hold jobs that could start and are not in the window. `canStart` tells of a label and image
   * whether there is room, and the image ready.
   */
  mayMiss(canStart: (group: GroupShare) => boolean): boolean {
    return this.#hasChanged || this.#groups.some((group) => !group.isWhole && canStart(group));
  }

  /** Whether it is too old to go on without a look at what it may miss. */
  isOld(now: number): boolean {
    return now - this.#filledAt >= windowMaxAgeMs;
  }
}
