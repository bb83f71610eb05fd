import { randomUUID } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { mkdir, open, opendir, rename, rm, rmdir, stat, unlink } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import type { Readable } from "node:stream";
import { hasErrorCode } from "../host/error-code.ts";
import { convertDiskFull } from "../host/files/disk-full.ts";
import { writeWhole } from "../host/files/write-whole.ts";
import { type BlobFacts, type BlobStore, checkBlobKey } from "./blob-store.ts";
import { measure } from "./measure.ts";

/** Number of retries of a rename whose target directory was removed at the same time because it was empty. */
const renameTries = 10;

/** Paths of a directory store. */
interface Places {
  readonly root: string;
  readonly blobs: string;
  readonly unfinished: string;
  readonly staging: string;
}

/**
 * Opens a store of files below `root`, on this host only: `blobs/KEY`; `unfinished/` for writes in progress, `staging/`
 * for files that callers prepare. A blob is written under another name, synced, and renamed. Throws `disk_full`.
 */
export async function openDirectoryStore(root: string): Promise<BlobStore> {
  const places: Places = {
    root,
    blobs: join(root, "blobs"),
    unfinished: join(root, "unfinished"),
    staging: join(root, "staging"),
  };
  const { blobs, unfinished, staging } = places;
  for (const path of [blobs, unfinished, staging]) await mkdir(path, { recursive: true, mode: 0o700 });
  return {
    place: root,
    isShared: false,
    stagingDirectory: staging,
    async write(key, source, options) {
      const path = pathOf(places, key);
      const { chunks, result } = measure(source, options);
      const temporary = join(unfinished, randomUUID());
      try {
        await writeFile(temporary, chunks);
        await moveInto(places, temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw convertDiskFull(error, path);
      }
      return result();
    },
    async adopt(key, path) {
      await using file = await open(path, "r+");
      await file.sync();
      await moveInto(places, path, pathOf(places, key));
    },
    read: (key, offset = 0) => openForReading(pathOf(places, key), offset),
    stat: (key) => factsOf(places, pathOf(places, key)),
    remove: (key) => removeFile(places, pathOf(places, key)),
    list: (prefix) => listFiles(places, prefix),
    removeLeftovers: (before) => removeOlder(unfinished, before),
    close() {},
  };
}

function pathOf(places: Places, key: string): string {
  return join(places.blobs, checkBlobKey(key));
}

async function writeFile(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  for await (const chunk of chunks) await writeWhole(file, chunk);
  await file.sync();
}

/** Renames a synced file to its final path. The new name is durable when this function resolves. */
async function moveInto(places: Places, from: string, to: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    try {
      await rename(from, to);
      break;
    } catch (error) {
      // A concurrent removal of the directory's last blob has removed the directory as well: create it again.
      if (!isMissing(error) || tries >= renameTries) throw error;
    }
  }
  for (let path = dirname(to); path.startsWith(places.blobs); path = dirname(path)) await syncDirectory(path);
}

async function syncDirectory(path: string): Promise<void> {
  try {
    await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    await directory.sync();
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function openForReading(path: string, offset: number): Promise<Readable | null> {
  try {
    const file = await open(path, "r");
    return createReadStream(path, { fd: file, start: offset, highWaterMark: 256 * 1024 });
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function factsOf(places: Places, path: string): Promise<BlobFacts | null> {
  try {
    const { size, mtimeMs } = await stat(path);
    const key = relative(places.blobs, path).split(sep).join("/");
    return { key, sizeBytes: size, modifiedAt: Math.floor(mtimeMs) };
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function removeFile(places: Places, path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  // Empty parent directories are removed too; rmdir fails on the first one with content, and the loop ends.
  for (let parent = dirname(path); parent !== places.blobs; parent = dirname(parent)) {
    try {
      await rmdir(parent);
    } catch (error) {
      if (!isMissing(error)) return;
    }
  }
}

async function* listFiles(places: Places, prefix: string): AsyncGenerator<BlobFacts> {
  const slash = prefix.lastIndexOf("/");
  const folder = slash === -1 ? places.blobs : pathOf(places, prefix.slice(0, slash));
  for await (const path of walk(folder)) {
    const facts = await factsOf(places, path);
    if (facts?.key.startsWith(prefix)) yield facts;
  }
}

async function* walk(folder: string): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) yield* walk(path);
      else if (entry.isFile()) yield path;
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function removeOlder(folder: string, before: number): Promise<number> {
  let removed = 0;
  for await (const path of walk(folder)) {
    const found = await stat(path).catch(() => null);
    if (found === null || found.mtimeMs >= before) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}

function isMissing(error: unknown): boolean {
  return hasErrorCode(error, "ENOENT", "ENOTDIR");
}
