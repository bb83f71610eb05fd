import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { jobIdOfGuest } from "../core/job/job.ts";
import { hasErrorCode } from "../host/error-code.ts";

/** Returns the directory that holds one directory for each guest, for every backend. */
export function guestsDirectory(dataDir: string): string {
  return join(dataDir, "guests");
}

/** The directory of one guest, with the names of its files. */
export interface GuestDirectory {
  readonly path: string;
  readonly jobId: string;
  readonly files: string[];
}

/**
 * Lists the guests' directories below `guestsDir`; empty when `guestsDir` does not exist. Entries of another form are
 * skipped, also a link to a directory.
 */
export async function readGuestDirectories(guestsDir: string): Promise<GuestDirectory[]> {
  const entries = await readdir(guestsDir, { withFileTypes: true }).catch(noneIfMissing);
  const directories = entries.flatMap((entry) => {
    const jobId = entry.isDirectory() ? jobIdOfGuest(entry.name) : null;
    return jobId === null ? [] : [{ path: join(guestsDir, entry.name), jobId }];
  });
  return Promise.all(
    directories.map(async (directory) => ({
      ...directory,
      files: await readdir(directory.path).catch(noneIfMissing),
    })),
  );
}

function noneIfMissing(error: unknown): [] {
  if (hasErrorCode(error, "ENOENT")) return [];
  throw error;
}
