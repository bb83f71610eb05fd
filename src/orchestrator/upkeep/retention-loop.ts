import { errorText } from "../../core/errors.ts";
import { removeUnusedImages } from "../../images/prepare/unused-images.ts";
import {
  deleteFinishedJobs,
  expireOldestLogs,
  type FinishedPlace,
  type RetentionStep,
  sumLogBytes,
} from "../../store/jobs/retention.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";

const hourMs = 3_600_000;

/** Milliseconds from the start to the first run, after the work of the start itself. */
const firstRunMs = 5 * 60_000;

/**
 * The part of the limit to which logs are removed, so that not each new log needs a run. The rest is also the
 * maximum removed between two measurements: another host that runs concurrently removes at most that much too
 * much.
 */
const targetShare = 0.9;

/** The dependencies of {@link runRetention}. */
export type RetentionContext = Pick<Context, "config" | "store" | "log" | "phase" | "retention">;

/** Starts the loop that removes old data: every hour, and at once when the disk becomes full. */
export function startRetentionLoop(context: Context): Loop {
  let isDue = false;
  const loop = startLoop({
    name: "retention",
    log: context.log,
    run: async () => {
      if (isDue) await runRetention(context);
      else context.retention.logBytes = await sumLogBytes(context.store);
      const pauseMs = withJitter(isDue ? hourMs : firstRunMs);
      isDue = true;
      return pauseMs;
    },
  });
  const unsubscribe = context.diskGuard.onChange((isPaused) => {
    if (isPaused) loop.wake();
  });
  void loop.ended.then(unsubscribe);
  return loop;
}

/**
 * Randomises the interval: hosts that share a database and started together should not run at the same
 * moment.
 */
function withJitter(ms: number): number {
  return ms * (0.8 + Math.random() * 0.4);
}

/**
 * Removes old jobs, logs beyond the limit, and images that no image map names. A failure of one kind does not
 * stop the others. Several hosts may run it concurrently.
 */
export async function runRetention(context: RetentionContext): Promise<void> {
  const before = { ...context.retention.removed };
  await attempt(context, "old jobs", () => removeOldJobs(context));
  await attempt(context, "logs beyond the limit", () => shortenLogs(context));
  await attempt(context, "unused images", () => removeImages(context));
  const { jobs, logs } = context.retention.removed;
  if (jobs > before.jobs || logs > before.logs) {
    await attempt(context, "the store's free space", async () => void (await context.store.reclaim()));
  }
}

async function attempt(context: RetentionContext, what: string, remove: () => Promise<void>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    context.log.warn({ err: error }, `retention could not remove ${what}: ${errorText(error)}`);
  }
}

async function removeOldJobs(context: RetentionContext): Promise<void> {
  const { jobRetentionSeconds, amqp } = context.config;
  if (jobRetentionSeconds === 0) return;
  // Without a broker, unpublished results would keep their jobs for ever.
  const awaitsPublishing = amqp !== null;
  const at = Date.now();
  const before = at - jobRetentionSeconds * 1000;
  const removed = await stepThrough(context, async (after) => {
    const step = await deleteFinishedJobs(context.store, { before, awaitsPublishing, at, after });
    context.retention.removed.jobs += step.removed;
    return step;
  });
  if (removed > 0) context.log.info({ jobs: removed, before }, "removed old jobs with their logs");
}

async function shortenLogs(context: RetentionContext): Promise<void> {
  const { store, retention, config } = context;
  const limit = config.logStoreLimitBytes;
  const bytesBefore = await sumLogBytes(store);
  let bytesAfter = bytesBefore;
  let logs = 0;
  if (limit > 0 && bytesBefore > limit) {
    for (let removed = 1; removed > 0 && bytesAfter > limit * targetShare; logs += removed) {
      removed = await removeOldestLogs(context, bytesAfter - limit * targetShare);
      bytesAfter = await sumLogBytes(store);
    }
  }
  retention.logBytes = bytesAfter;
  const facts = { logs, bytesBefore, bytesAfter, limit };
  if (limit > 0 && bytesAfter > limit)
    context.log.warn(facts, "logs exceed their limit, but no finished job has a log to remove");
  else if (logs > 0) context.log.info(facts, "removed the oldest logs");
}

/**
 * Frees about `excessBytes`, or a tenth of the limit when that is less. Returns the number of removed logs.
 */
async function removeOldestLogs(context: RetentionContext, excessBytes: number): Promise<number> {
  const at = Date.now();
  let bytes = Math.min(excessBytes, context.config.logStoreLimitBytes * (1 - targetShare));
  return stepThrough(context, async (after) => {
    const step = await expireOldestLogs(context.store, { bytes, at, after });
    bytes -= step.freed;
    context.retention.removed.logs += step.removed;
    return bytes > 0 ? step : { ...step, next: null };
  });
}

async function removeImages(context: RetentionContext): Promise<void> {
  const { imageMap, dataDir, imageRetentionSeconds } = context.config;
  if (imageRetentionSeconds === 0) return;
  const retentionMs = imageRetentionSeconds * 1000;
  for (const image of await removeUnusedImages({ dataDir, imageMap, retentionMs, now: Date.now() })) {
    context.retention.removed.images += 1;
    context.log.info({ ...image }, "removed an image that the image map no longer names");
  }
}

/** Repeats a step until no finished jobs are left, or this host stops. Returns the total number removed. */
async function stepThrough(
  context: RetentionContext,
  take: (after: FinishedPlace | null) => Promise<RetentionStep>,
): Promise<number> {
  let removed = 0;
  let after: FinishedPlace | null = null;
  do {
    const step = await take(after);
    removed += step.removed;
    after = step.next;
  } while (after !== null && context.phase === "serving");
  return removed;
}
