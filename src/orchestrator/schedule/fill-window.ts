import type { CandidateWindow, GroupShare } from "../../core/schedule/candidate-window.ts";
import type { QueuedJob } from "../../core/schedule/scheduler.ts";
import { type LaneCursor, listGroups, listLanes, type QueueGroup } from "../../store/jobs/waiting.ts";
import type { Store } from "../../store/store.ts";

/** How much a window holds. */
export interface WindowSize {
  /** Jobs in all, about; they are shared equally between labels. Each round looks at all of them. */
  readonly windowJobs: number;
  /** Jobs of one lane: what most hosts can start at once. */
  readonly jobsPerLane: number;
}

const defaultSize: WindowSize = { windowJobs: 1000, jobsPerLane: 64 };

/** Labels whose place in the walk over their lanes is remembered; an older one begins again. */
const rememberedCursors = 1000;

/** Fills windows from the store, each where the one before ended. */
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
      // The end of the walk may be short of jobs, or empty: it begins again at once.
      const front = await listLanes(store, group, { ...range, after: null });
      jobs = [...jobs, ...front.jobs];
      next = front.next;
      isCut ||= front.isCut;
    }
    if (cursors.size >= rememberedCursors) cursors.clear();
    if (next !== null) cursors.set(key, next);
    // A walk that begins in the middle has passed the front, unless it came there again.
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
