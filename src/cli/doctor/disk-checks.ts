import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { formatBytes, freeBytes } from "../../host/files/disk-space.ts";
import { type Check, type Finding, fail, ok, warn } from "./check.ts";
import { qemuUser, succeedsAs } from "./kvm-checks.ts";

const gibibyte = 1024 ** 3;
const scarceBytes = 2 * gibibyte;
const comfortableBytes = 20 * gibibyte;

/** Checks the free space of the data directory. */
export function spaceCheck(dataDir: string): Check {
  return { name: "disk space", run: () => checkSpace(dataDir) };
}

/** Checks that QEMU can reach the guests' disks in the data directory. */
export function traversableCheck(dataDir: string): Check {
  return { name: "data directory", run: () => checkTraversable(dataDir) };
}

async function checkSpace(dataDir: string): Promise<Finding> {
  const free = await freeBytes(dataDir);
  const detail = `${formatBytes(free)} free at ${dataDir}.`;
  if (free >= comfortableBytes) return ok(detail);
  const remedy = "Free some space, or set SOLSTICE_DATA_DIR to a larger disk.";
  if (free >= scarceBytes) return warn(`${detail} Images and guests' disks may need more.`, remedy);
  return fail(detail, remedy);
}

/** QEMU's user needs search permission (x) for every folder on the path to a guest's disk. */
async function checkTraversable(dataDir: string): Promise<Finding> {
  const folder = await nearestExisting(dataDir);
  const user = await qemuUser();
  const blocked = process.getuid?.() === 0 ? await blockedFor(user, folder) : await blockedForOthers(folder);
  if (blocked === null) return ok(`${user} reaches ${folder}.`);
  return fail(
    `The guests' user ${user} has no search permission for ${blocked}.`,
    `chmod o+x ${blocked}   # or set SOLSTICE_DATA_DIR to a folder outside of it`,
  );
}

async function nearestExisting(path: string): Promise<string> {
  const exists = await stat(path).catch(() => null);
  return exists || dirname(path) === path ? path : nearestExisting(dirname(path));
}

/** The first folder on the path that `user` cannot search, or null. */
async function blockedFor(user: string, folder: string): Promise<string | null> {
  for (const step of foldersTo(folder)) {
    if (!(await succeedsAs(user, ["test", "-x", step]))) return step;
  }
  return null;
}

/** Like {@link blockedFor}, but from the mode bits: for callers that are not root. */
async function blockedForOthers(folder: string): Promise<string | null> {
  for (const step of foldersTo(folder)) {
    if (((await stat(step)).mode & 0o001) === 0) return step;
  }
  return null;
}

function foldersTo(folder: string): string[] {
  return dirname(folder) === folder ? [folder] : [...foldersTo(dirname(folder)), folder];
}
