import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { jobIdOfGuest } from "../core/job/job.ts";
import { hasErrorCode } from "../host/error-code.ts";

/** The directory that holds one directory for each guest, whatever the backend. */
export function guestsDirectory(dataDir: string): string {
  return join(dataDir, "guests");
}

/** The directory of one guest, with the names of what is in it. */
export interface GuestDirectory {
  readonly path: string;
  readonly jobId: string;
  readonly files: string[];
}

/**
 * The guests' directories below `guestsDir`. Whatever else is there, a link to a directory too, is not of our form and
 * is passed over. None where `guestsDir` does not exist.
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
