import { join } from "node:path";
import { guestName } from "../../../core/job/job.ts";

/** Where the files of one guest are. */
export interface GuestPaths {
  readonly directory: string;
  readonly overlay: string;
  readonly seed: string;
  readonly console: string;
}

/** Names the files of one guest. All follow from the job's id, so that a repeated create is the same create. */
export function guestPaths(guestsDir: string, jobId: string): GuestPaths {
  const directory = join(guestsDir, guestName(jobId));
  return {
    directory,
    overlay: join(directory, "overlay.qcow2"),
    seed: join(directory, "seed.iso"),
    console: join(directory, "console.log"),
  };
}
