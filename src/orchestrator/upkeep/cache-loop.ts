import { errorText } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";
import { findEntriesWithoutBlob, findStrayBlobs, removeUnused } from "./cache-sweep.ts";
import { repairAll, sweepPlace } from "./sweep-place.ts";

/** How often the cache is compared with its blobs, in ms. */
const intervalMs = 3_600_000;

/** The part of a {@link Context} that {@link tidyCache} needs. */
export type CacheUpkeepContext = Pick<Context, "config" | "store" | "blobs" | "caches" | "identity" | "log">;

/** Starts the loop that keeps the cache as small as it may be: at the start, every hour, and after a save for nothing. */
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
 * Removes entries that were not used for long, that are beyond the limits, or whose blob is gone; and blobs of no entry.
 * Each for itself, so that one that fails does not keep the others. Several hosts may do it at once. `now` in ms since the epoch.
 */
export async function tidyCache(context: CacheUpkeepContext, now: number): Promise<void> {
  const { config, caches, log } = context;
  const { store, blobs, identity } = context;
  const place = sweepPlace({ store, blobs, hostId: identity.hostId });
  const { removed } = caches;
  const attempt = async (what: string, remove: () => Promise<number>): Promise<number> => {
    try {
      const count = await remove();
      if (count > 0) log.info({ count }, `removed of the cache: ${what}`);
      return count;
    } catch (error) {
      log.warn({ err: error }, `the cache could not be rid of ${what}: ${errorText(error)}`);
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
