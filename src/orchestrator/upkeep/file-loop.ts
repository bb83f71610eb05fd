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

/** Milliseconds between comparisons of files with their records. */
const intervalMs = 3_600_000;

/** Age at which the remains of an interrupted write are removed, in ms. */
const leftoverAgeMs = 86_400_000;

/** The dependencies of {@link tidyFiles}. */
export type FileUpkeepContext = Pick<Context, "config" | "store" | "blobs" | "identity" | "log">;

/** Starts the loop that removes unneeded files of jobs: at the start, and every hour. */
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
 * Removes old artifacts, blobs without a record, and remains of interrupted uploads; records which artifacts
 * are missing. A failure of one kind does not stop the others. Several hosts may run it concurrently.
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
  await attempt("finished uploads of ended attempts", () => repairAll(findUnfinishedUploads(place)));
  await attempt("removed artifacts of removed jobs", () => repairAll(findStrayArtifacts(place)));
  await attempt("found artifacts missing", () => repairAll(findLostArtifacts(place)));
  await attempt("removed remains of interrupted writes", () => blobs.removeLeftovers(now - leftoverAgeMs));
}
