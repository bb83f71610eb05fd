import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { SolsticeError } from "../../core/errors.ts";
import { guestName } from "../../core/job/job.ts";
import { hasErrorCode } from "../../host/error-code.ts";
import type { GuestSpec } from "../hypervisor.ts";

/** Paths of one guest's files. */
export interface GuestPaths {
  readonly directory: string;
  /** The guest's owner; written last, so that a mark means a complete guest. */
  readonly mark: string;
  readonly pid: string;
  /** How the guest ended; absent while it runs, and after it was killed from outside. */
  readonly exit: string;
  readonly console: string;
  readonly work: string;
}

/** Returns the paths of a guest's files. */
export function guestPaths(guestsDir: string, jobId: string): GuestPaths {
  const directory = join(guestsDir, guestName(jobId));
  const at = (name: string) => join(directory, name);
  return {
    directory,
    mark: at("guest.json"),
    pid: at("guest.pid"),
    exit: at("exit-status"),
    console: at("console.log"),
    work: at("work"),
  };
}

/** State of a guest's directory: `partial` after an incomplete create, `foreign` with another owner's mark. */
export type FoundGuest =
  | { readonly kind: "none" | "partial" | "foreign" }
  | { readonly kind: "ours"; readonly attempt: number };

/** Reads the mark of a guest's directory. */
export async function findGuest(paths: GuestPaths, ownerId: string): Promise<FoundGuest> {
  const mark = await readIfPresent(paths.mark);
  if (mark === null) return { kind: (await isDirectory(paths.directory)) ? "partial" : "none" };
  // After a power failure of the host, a file may exist without its bytes.
  if (mark === "") return { kind: "partial" };
  const { owner, attempt } = JSON.parse(mark);
  return owner === ownerId && Number.isSafeInteger(attempt) ? { kind: "ours", attempt } : { kind: "foreign" };
}

/** Writes the guest's files, and then the mark. */
export async function writeGuest(paths: GuestPaths, spec: GuestSpec, ownerId: string): Promise<void> {
  await mkdir(paths.work, { recursive: true, mode: 0o700 });
  for (const file of spec.files) {
    const path = placeInside(paths.directory, file.path);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, file.content, { mode: Number.parseInt(file.permissions, 8) });
  }
  const partial = `${paths.mark}.partial`;
  await writeFile(
    partial,
    JSON.stringify({ owner: ownerId, jobId: spec.jobId, attempt: spec.attempt, diskGb: spec.size.diskGb }),
  );
  await rename(partial, paths.mark);
}

/** Returns the disk size of a guest with a mark, in GiB. A guest of an older version has the smallest size. */
export async function readDiskGb(paths: GuestPaths): Promise<number> {
  const { diskGb } = JSON.parse(await readFile(paths.mark, "utf8"));
  return typeof diskGb === "number" && diskGb >= 1 ? diskGb : 1;
}

/** Returns the host's path for a path of the guest: always below the guest's directory. */
export function placeInside(directory: string, guestPath: string): string {
  const path = resolve(directory, `.${sep}${guestPath}`);
  if (path.startsWith(directory + sep)) return path;
  throw new SolsticeError(
    "hypervisor_failed",
    `The guest's file ${JSON.stringify(guestPath)} would leave it.`,
  );
}

/** Removes all files of a guest: first the mark, which means that they are complete. */
export async function removeFiles(paths: GuestPaths): Promise<void> {
  await rm(paths.mark, { force: true });
  await rm(paths.directory, { recursive: true, force: true, maxRetries: 5 });
}

/** Returns the text of a file, or null when it does not exist. */
export async function readIfPresent(path: string): Promise<string | null> {
  return ifPresent(readFile(path, "utf8"));
}

async function isDirectory(path: string): Promise<boolean> {
  return (await ifPresent(readdir(path))) !== null;
}

async function ifPresent<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return null;
    throw error;
  }
}
