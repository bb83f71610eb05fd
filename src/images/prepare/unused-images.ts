import { readdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import { tryAcquireProcessLock } from "../../host/process-lock.ts";
import { listBackingFiles } from "../formats/backing-file.ts";
import { isPreparedByUs, writeFileAtomically } from "../image-facts.ts";
import { type ImageFiles, imageFiles } from "../image-files.ts";

/** What {@link removeUnusedImages} looks at. */
export interface UnusedImagesOptions {
  readonly dataDir: string;
  readonly imageMap: ImageMap;
  /** How long an image stays after it was first seen that the map does not name it, in ms. */
  readonly retentionMs: number;
  /** Ms since the epoch. */
  readonly now: number;
}

/** An image that is gone, with what was downloaded of it. */
export interface RemovedImage {
  readonly path: string;
  /** What its files took on disk. */
  readonly bytes: number;
}

/**
 * Removes images from `images/` in the data directory that the map has not named for `retentionMs`, and downloads of such
 * images that never ended. Only what this program made: a file that somebody put there stays, and so does an image that a
 * guest's disk is based on. Since when nobody names it is kept in a note beside it, so that a restart does not begin again.
 * Lock files stay: they are empty, and removing one would let two processes hold it.
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

/** Real paths of every image of the map, and of every file that one is made from. */
async function namedPaths(map: ImageMap): Promise<Set<string>> {
  const paths = [...map.images.values()].flatMap(({ localPath, source }) => [localPath, ...pathOf(source)]);
  return new Set(await Promise.all(paths.map(realPathOf)));
}

function pathOf(source: string | null): string[] {
  if (source === null || /^https?:/i.test(source)) return [];
  return [/^file:/i.test(source) ? fileURLToPath(source) : source];
}

/** Also for a file that does not exist yet: its folder may be a link. */
async function realPathOf(path: string): Promise<string> {
  const folder = await realpath(dirname(path)).catch(() => resolve(dirname(path)));
  return realpath(path).catch(() => join(folder, basename(path)));
}

/** The names of images that something in the hidden folder tells of. */
async function preparedNames(folder: string): Promise<Set<string>> {
  const entries = await readdir(join(folder, ".solstice")).catch(() => []);
  const names = entries.flatMap(
    (entry) => /^(.+?)(\.part\.json|\.json|\.part|\.unpacking|\.failure)$/.exec(entry)?.[1] ?? [],
  );
  return new Set(names);
}

/** Writes down that nobody names the image, the first time; true once that is long ago. */
async function isOverdue(files: ImageFiles, options: UnusedImagesOptions): Promise<boolean> {
  const since = Date.parse(await readFile(files.unused, "utf8").catch(() => ""));
  if (Number.isNaN(since)) {
    await writeFileAtomically(files.unused, new Date(options.now).toISOString());
    return false;
  }
  return options.now - since >= options.retentionMs;
}

/** Null when somebody works on it, a guest needs it, or nothing of it is ours. */
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
      // Facts about somebody else's file cost nothing, and took a while to find out.
      ...(isOurs || !(await exists(files.image)) ? [files.facts, files.unused] : []),
    ]);
    return bytes > 0 ? { path: files.image, bytes } : null;
  } finally {
    lock.release();
  }
}

/** The image goes first: a crash afterwards leaves files that the next look finds. Returns what they took on disk. */
async function removeAll(paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const path of paths) {
    const found = await stat(path).catch(() => null);
    await rm(path, { force: true });
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
