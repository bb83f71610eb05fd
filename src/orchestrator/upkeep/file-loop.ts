import { errorText } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";
import {
  findLostArtifacts,
  findStrayArtifacts,
  findUnfinishedUploads,
  removeOldArtifacts,
} from "./file-sweep.ts";
import { repairAll, sweepPlace } from "./sweep-place.ts";

/** How often files and their records are compared, in ms. */
const intervalMs = 3_600_000;

/** What a write that was cut off left is as old as this before it goes, in ms. */
const leftoverAgeMs = 86_400_000;

/** The part of a {@link Context} that {@link tidyFiles} needs. */
export type FileUpkeepContext = Pick<Context, "config" | "store" | "blobs" | "identity" | "log">;

/** Starts the loop that removes files of jobs that nobody needs: at the start, and every hour. */
export function startFileLoop(context: Context): Loop {
  return startLoop({
    name: "files",
    log: context.log,
    run: async () => {
      await tidyFiles(context);
      return intervalMs * (0.8 + Math.random() * 0.4);
    },
  });
}

/**
 * Removes artifacts by age, blobs without a record, and what cut-off uploads left; and notes which artifacts are lost. Each
 * for itself, so that one that fails does not keep the others. Several hosts may do it at once.
 */
export async function tidyFiles(context: FileUpkeepContext): Promise<void> {
  const { config, store, blobs, identity, log } = context;
  const place = sweepPlace({ store, blobs, hostId: identity.hostId });
  const attempt = async (what: string, tidy: () => Promise<number>) => {
    try {
      const count = await tidy();
      if (count > 0) log.info({ count, place: blobs.place }, `files of jobs: ${what}`);
    } catch (error) {
      log.warn({ err: error, place: blobs.place }, `files of jobs: failed: ${what}: ${errorText(error)}`);
    }
  };
  const now = Date.now();
  const { artifactRetentionSeconds } = config;
  if (artifactRetentionSeconds > 0) {
    const before = now - artifactRetentionSeconds * 1000;
    await attempt("removed old artifacts", () => removeOldArtifacts(place, before));
  }
  await attempt("ended uploads of attempts that are over", () => repairAll(findUnfinishedUploads(place)));
  await attempt("removed artifacts of jobs that are gone", () => repairAll(findStrayArtifacts(place)));
  await attempt("found artifacts missing", () => repairAll(findLostArtifacts(place)));
  await attempt("removed what cut-off writes left", () => blobs.removeLeftovers(now - leftoverAgeMs));
}
