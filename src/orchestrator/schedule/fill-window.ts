import type { CandidateWindow, GroupShare } from "../../core/schedule/candidate-window.ts";
import type { QueuedJob } from "../../core/schedule/scheduler.ts";
import { type LaneCursor, listGroups, listLanes, type QueueGroup } from "../../store/jobs/waiting.ts";
import type { Store } from "../../store/store.ts";

/** The size of a window. */
export interface WindowSize {
  /** Approximate number of jobs, shared equally between labels. Each round checks all of them. */
  readonly windowJobs: number;
  /** Number of jobs of one lane: the number that most hosts can start at once. */
  readonly jobsPerLane: number;
}

const defaultSize: WindowSize = { windowJobs: 1000, jobsPerLane: 64 };

/**
 * Maximum number of labels whose position in the walk over their lanes is cached; the walk of an older label
 * starts again.
 */
const cachedCursors = 1000;

/** Fills windows from the store, each from the end of the one before. */
export interface WindowFiller {
  /** Reads the candidates of all labels and images that `canStart`. */
  fill(window: CandidateWindow, canStart: (group: QueueGroup) => boolean): Promise<void>;
}

/** Creates a filler that begins at the front of the queue. */
export function createWindowFiller(store: Store, size: WindowSize = defaultSize): WindowFiller {
  const cursors = new Map<string, LaneCursor>();

  const readShare = async (group: QueueGroup, limit: number) => {
    const key = JSON.stringify([group.label, group.image]);
    const range = { after: cursors.get(key) ?? null, perLane: Math.min(size.jobsPerLane, limit), limit };
    cursors.delete(key);
    let { jobs, next, isCut } = await listLanes(store, group, range);
    if (range.after !== null && next === null) {
      // The end of the walk may have few jobs or none: the walk starts again at once.
      const front = await listLanes(store, group, { ...range, after: null });
      jobs = [...jobs, ...front.jobs];
      next = front.next;
      isCut ||= front.isCut;
    }
    if (cursors.size >= cachedCursors) cursors.clear();
    if (next !== null) cursors.set(key, next);
    // A walk that began in the middle has not read the front, unless it reached the front again.
    return { jobs, share: { ...group, isWhole: next === null && !isCut } };
  };

  return {
    async fill(window, canStart) {
      window.beginFill();
      try {
        const groups = await listGroups(store);
        const readable = groups.filter(canStart);
        const limit = Math.ceil(size.windowJobs / Math.max(1, readable.length));
        const jobs: QueuedJob[] = [];
        const shares: GroupShare[] = [];
        for (const group of groups) {
          if (!readable.includes(group)) {
            shares.push({ ...group, isWhole: false });
            continue;
          }
          const read = await readShare(group, limit);
          jobs.push(...read.jobs);
          shares.push(read.share);
        }
        window.fill(jobs, shares, performance.now());
      } catch (error) {
        window.noteChange();
        throw error;
      }
    },
  };
}
