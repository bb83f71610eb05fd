import { join } from "node:path";
import { guestName } from "../../../core/job/job.ts";

/** Paths of one guest's files. */
export interface GuestPaths {
  readonly directory: string;
  readonly overlay: string;
  readonly seed: string;
  readonly console: string;
}

/** Returns the paths of one guest's files. All depend on the job's id only, so that create is idempotent. */
export function guestPaths(guestsDir: string, jobId: string): GuestPaths {
  const directory = join(guestsDir, guestName(jobId));
  return {
    directory,
    overlay: join(directory, "overlay.qcow2"),
    seed: join(directory, "seed.iso"),
    console: join(directory, "console.log"),
  };
}
