import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { SolsticeError } from "../../core/errors.ts";
import { guestName } from "../../core/job/job.ts";
import { hasErrorCode } from "../../host/error-code.ts";
import type { GuestSpec } from "../hypervisor.ts";

/** Where the files of one guest are. */
export interface GuestPaths {
  readonly directory: string;
  /** Whose guest it is; written last, so that it says that the guest is whole. */
  readonly mark: string;
  readonly pid: string;
  /** How it ended; absent while it runs, and after it was killed by someone else. */
  readonly exit: string;
  readonly console: string;
  readonly work: string;
}

/** Names the files of a guest. */
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

/** Whose guest a directory holds: `partial` from a create that did not end, `foreign` with another's mark. */
export type FoundGuest =
  | { readonly kind: "none" | "partial" | "foreign" }
  | { readonly kind: "ours"; readonly attempt: number };

/** Reads the mark of a guest's directory. */
export async function findGuest(paths: GuestPaths, ownerId: string): Promise<FoundGuest> {
  const mark = await readIfPresent(paths.mark);
  if (mark === null) return { kind: (await isDirectory(paths.directory)) ? "partial" : "none" };
  // A host that lost its power may keep the name of a file without its bytes.
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

/** The disk of a guest that has its mark, in GiB. One that an older version made has the smallest. */
export async function readDiskGb(paths: GuestPaths): Promise<number> {
  const { diskGb } = JSON.parse(await readFile(paths.mark, "utf8"));
  return typeof diskGb === "number" && diskGb >= 1 ? diskGb : 1;
}

/** Where a path of the guest is on the host: below the guest's directory, whatever it says. */
export function placeInside(directory: string, guestPath: string): string {
  const path = resolve(directory, `.${sep}${guestPath}`);
  if (path.startsWith(directory + sep)) return path;
  throw new SolsticeError(
    "hypervisor_failed",
    `The guest's file ${JSON.stringify(guestPath)} would leave it.`,
  );
}

/** Removes all files of a guest: the mark first, which says that they are whole. */
export async function removeFiles(paths: GuestPaths): Promise<void> {
  await rm(paths.mark, { force: true });
  await rm(paths.directory, { recursive: true, force: true, maxRetries: 5 });
}

/** The text of a file, or null when there is no such file. */
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
