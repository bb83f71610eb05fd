import { errorText } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";
import { findEntriesWithoutBlob, findStrayBlobs, removeUnused } from "./cache-sweep.ts";
import { repairAll, sweepPlace } from "./sweep-place.ts";

/** Milliseconds between comparisons of the cache with its blobs. */
const intervalMs = 3_600_000;

/** The dependencies of {@link tidyCache}. */
export type CacheUpkeepContext = Pick<Context, "config" | "store" | "blobs" | "caches" | "identity" | "log">;

/** Starts the loop that limits the cache: at the start, every hour, and after a save that was not needed. */
export function startCacheLoop(context: Context): Loop {
  const loop = startLoop({
    name: "cache",
    log: context.log,
    run: async () => {
      await tidyCache(context, Date.now());
      return intervalMs * (0.8 + Math.random() * 0.4);
    },
  });
  const unsubscribe = context.caches.onSweepRequest(() => loop.wake());
  void loop.ended.then(unsubscribe);
  return loop;
}

/**
 * Removes entries that were unused for long, that exceed the limits, or whose blob is missing; and blobs
 * without an entry. A failure of one kind does not stop the others. Several hosts may run it concurrently.
 * `now` in ms since the epoch.
 */
export async function tidyCache(context: CacheUpkeepContext, now: number): Promise<void> {
  const { config, caches, log } = context;
  const { store, blobs, identity } = context;
  const place = sweepPlace({ store, blobs, hostId: identity.hostId });
  const { removed } = caches;
  const attempt = async (what: string, remove: () => Promise<number>): Promise<number> => {
    try {
      const count = await remove();
      if (count > 0) log.info({ count }, `removed from the cache: ${what}`);
      return count;
    } catch (error) {
      log.warn({ err: error }, `could not remove from the cache: ${what}: ${errorText(error)}`);
      return 0;
    }
  };
  const { retentionSeconds } = config.cache;
  const before = now - retentionSeconds * 1000;
  if (retentionSeconds > 0)
    removed.unused += await attempt("unused entries", () => removeUnused(place, before));
  await attempt("entries beyond its limits", () => caches.enforceLimits());
  removed.without_blob += await attempt("entries without a blob", () =>
    repairAll(findEntriesWithoutBlob(place)),
  );
  removed.stray_blobs += await attempt("blobs without an entry", () => repairAll(findStrayBlobs(place)));
}
