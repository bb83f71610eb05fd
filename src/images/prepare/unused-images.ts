import { readdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import { exists } from "../../host/files/exists.ts";
import { tryAcquireProcessLock } from "../../host/process-lock.ts";
import { listBackingFiles } from "../formats/backing-file.ts";
import { isPreparedByUs, writeFileAtomically } from "../image-facts.ts";
import { type ImageFiles, imageFiles } from "../image-files.ts";

/** Options of {@link removeUnusedImages}. */
export interface UnusedImagesOptions {
  readonly dataDir: string;
  readonly imageMap: ImageMap;
  /** Time that an image stays after the map was first seen without it, in ms. */
  readonly retentionMs: number;
  /** Ms since the epoch. */
  readonly now: number;
}

/** A removed image, with the downloaded parts. */
export interface RemovedImage {
  readonly path: string;
  /** Space of its files on disk. */
  readonly bytes: number;
}

/**
 * Removes images from `images/` in the data directory that the map has not named for `retentionMs`, and incomplete
 * downloads of such images. Removes only files that this program made: an operator's file stays, and so does an image
 * that a guest's disk is based on. The start of the retention is recorded beside the image, so that it survives a
 * restart. Lock files stay: they are empty, and removing one would let two processes hold the lock.
 */
export async function removeUnusedImages(options: UnusedImagesOptions): Promise<RemovedImage[]> {
  const folder = join(options.dataDir, "images");
  const named = await namedPaths(options.imageMap);
  const removed: RemovedImage[] = [];
  for (const name of await preparedNames(folder)) {
    const files = imageFiles(join(folder, name));
    if (named.has(await realPathOf(files.image))) await rm(files.unused, { force: true });
    else if (await isOverdue(files, options)) {
      const gone = await removeLocked(files, options.dataDir);
      if (gone) removed.push(gone);
    }
  }
  return removed;
}

/** Returns the real paths of every image of the map, and of every local source. */
async function namedPaths(map: ImageMap): Promise<Set<string>> {
  const paths = [...map.images.values()].flatMap(({ localPath, source }) => [localPath, ...pathOf(source)]);
  return new Set(await Promise.all(paths.map(realPathOf)));
}

function pathOf(source: string | null): string[] {
  if (source === null || /^https?:/i.test(source)) return [];
  return [/^file:/i.test(source) ? fileURLToPath(source) : source];
}

/** Works also for a file that does not exist yet: its folder may be a link. */
async function realPathOf(path: string): Promise<string> {
  const folder = await realpath(dirname(path)).catch(() => resolve(dirname(path)));
  return realpath(path).catch(() => join(folder, basename(path)));
}

/** Returns the names of images that have files in the hidden folder. */
async function preparedNames(folder: string): Promise<Set<string>> {
  const entries = await readdir(join(folder, ".solstice")).catch(() => []);
  const names = entries.flatMap(
    (entry) => /^(.+?)(\.part\.json|\.json|\.part|\.unpacking|\.failure)$/.exec(entry)?.[1] ?? [],
  );
  return new Set(names);
}

/** Records the first time at which the map does not name the image; true after the retention. */
async function isOverdue(files: ImageFiles, options: UnusedImagesOptions): Promise<boolean> {
  const since = Date.parse(await readFile(files.unused, "utf8").catch(() => ""));
  if (Number.isNaN(since)) {
    await writeFileAtomically(files.unused, new Date(options.now).toISOString());
    return false;
  }
  return options.now - since >= options.retentionMs;
}

/** Returns null when the image is being prepared, a guest needs it, or this program did not make it. */
async function removeLocked(files: ImageFiles, dataDir: string): Promise<RemovedImage | null> {
  const lock = tryAcquireProcessLock(files.lock, `removing image ${files.image}`);
  if (!lock) return null;
  try {
    const used = await listBackingFiles(join(dataDir, "guests"));
    if (used.has(await realPathOf(files.image))) return null;
    const isOurs = await isPreparedByUs(files.image);
    const bytes = await removeAll([
      ...(isOurs ? [files.image] : []),
      ...[files.part, files.partState, files.unpacking, files.failure],
      // Keep facts about an operator's file: they are small, and took a while to compute.
      ...(isOurs || !(await exists(files.image)) ? [files.facts, files.unused] : []),
    ]);
    return bytes > 0 ? { path: files.image, bytes } : null;
  } finally {
    lock.release();
  }
}

/** Removes the image first: after a crash the next run finds the other files. Returns the freed bytes. */
async function removeAll(paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const path of paths) {
    const found = await stat(path).catch(() => null);
    await rm(path, { force: true });
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}
