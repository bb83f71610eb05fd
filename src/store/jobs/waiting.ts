import { sql } from "kysely";
import { lastAttemptOf } from "../../core/schedule/other-host-first.ts";
import type { QueuedJob } from "../../core/schedule/scheduler.ts";
import { boundedLimit } from "../rows.ts";
import type { Store } from "../store.ts";
import { countQueued } from "./capacity.ts";

/** Maximum number of waiting jobs that are listed at once. */
export const maxQueuedListed = 10_000;

/** Limit of {@link listGroups}: labels come from image maps, and are few. */
const maxGroups = 1000;

/** Jobs of one lane that are listed when not all can be, so that other repositories have room. */
const laneShare = 100;

/** Waiting jobs with the same label and image, so that the same caps and the same image apply to them. */
export interface QueueGroup {
  readonly label: string;
  readonly image: string;
}

/**
 * Position in a walk over the lanes of a group: after this lane. The jobs of a lane (one group, repository and
 * priority) differ for the scheduler only in their age.
 */
export interface LaneCursor {
  readonly fairKey: string;
  readonly priority: number;
}

/** One page of the walk of {@link listLanes}. */
export interface LanePage {
  readonly jobs: QueuedJob[];
  /** Where to continue; null at the end of the group. */
  readonly next: LaneCursor | null;
  /** True when a lane may have more jobs than this page has of it. */
  readonly isCut: boolean;
}

/** The groups with waiting jobs. One index seek for each group, independent of the number of jobs. */
export async function listGroups(store: Store): Promise<QueueGroup[]> {
  const groups: QueueGroup[] = [];
  while (groups.length < maxGroups) {
    const last = groups.at(-1) ?? { label: "", image: "" };
    const next = await store.db
      .selectFrom("jobs")
      .select(["label", "image"])
      .where("state", "=", "queued")
      .where(sql<boolean>`(label, image) > (${last.label}, ${last.image})`)
      .orderBy("label")
      .orderBy("image")
      .limit(1)
      .executeTakeFirst();
    if (next === undefined) break;
    groups.push({ label: next.label, image: next.image });
  }
  return groups;
}

/**
 * The oldest `perLane` jobs of each lane of a group, lane after lane, starting after `after`, until there are `limit`
 * jobs (or up to `perLane` more). The next lane costs one seek, however long a lane is.
 */
export async function listLanes(
  store: Store,
  group: QueueGroup,
  range: { after: LaneCursor | null; perLane: number; limit: number },
): Promise<LanePage> {
  const perLane = boundedLimit(range.perLane, maxQueuedListed);
  const limit = boundedLimit(range.limit, maxQueuedListed);
  const jobs: QueuedJob[] = [];
  let isCut = false;
  for (let after = range.after; ; ) {
    const page = await readPage(store, group, { after, limit: perLane });
    const isLast = page.length < perLane;
    const taken = isLast ? page : wholeLanes(page);
    jobs.push(...taken);
    if (isLast) return { jobs, next: null, isCut };
    isCut ||= taken.length === page.length;
    after = cursorOf(taken.at(-1) as QueuedJob);
    if (jobs.length >= limit) return { jobs, next: after, isCut };
  }
}

/** A full page without its last lane, which may be incomplete; a lane that fills the whole page has enough jobs. */
function wholeLanes(page: QueuedJob[]): QueuedJob[] {
  const last = page.at(-1) as QueuedJob;
  const begin = page.findIndex((job) => job.fairKey === last.fairKey && job.priority === last.priority);
  return begin === 0 ? page : page.slice(0, begin);
}

function cursorOf({ fairKey, priority }: QueuedJob): LaneCursor {
  return { fairKey, priority };
}

async function readPage(
  store: Store,
  group: QueueGroup,
  range: { after: LaneCursor | null; limit: number },
): Promise<QueuedJob[]> {
  const { after } = range;
  const rows = await store.db
    .selectFrom("jobs")
    .select(["id", "label", "image", "fair_key", "priority", "submitted_at"])
    .select(["attempt", "host_id", "state_since_at"])
    .where("state", "=", "queued")
    .where("label", "=", group.label)
    .where("image", "=", group.image)
    .$if(after !== null, (query) =>
      query.where(sql<boolean>`(fair_key, priority) > (${after?.fairKey}, ${after?.priority})`),
    )
    .orderBy("fair_key")
    .orderBy("priority")
    .orderBy("submitted_at")
    .orderBy("id")
    .limit(range.limit)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    label: row.label,
    image: row.image,
    fairKey: row.fair_key,
    priority: row.priority,
    submittedAt: row.submitted_at,
    lastAttempt: lastAttemptOf({
      state: "queued",
      attempt: row.attempt,
      hostId: row.host_id,
      stateSinceAt: row.state_since_at,
    }),
  }));
}

/**
 * Waiting jobs, for explanations. If there are more than `limit`, each group gets an equal share, and in it each lane
 * some of its oldest jobs, so that no long queue hides the others; then `isWhole` is false.
 */
export async function listQueued(
  store: Store,
  limit: number,
): Promise<{ jobs: QueuedJob[]; isWhole: boolean }> {
  const groups = await listGroups(store);
  const most = boundedLimit(limit, maxQueuedListed);
  const isWhole = (await countQueued(store, most + 1)) <= most;
  const share = isWhole ? most : Math.ceil(most / Math.max(1, groups.length));
  const perLane = isWhole ? most : Math.min(share, laneShare);
  const lists: QueuedJob[][] = [];
  for (const group of groups) {
    const page = await listLanes(store, group, { after: null, perLane, limit: share });
    lists.push(page.jobs.slice(0, share));
  }
  return { jobs: lists.flat(), isWhole };
}
