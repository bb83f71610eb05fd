import { join } from "node:path";
import { guestName } from "../../core/job/job.ts";

/** Paths of one guest's files. */
export interface GuestPaths {
  readonly directory: string;
  readonly seed: string;
  readonly console: string;
  /** File with the guest's slot. */
  readonly slot: string;
}

/** Returns the paths of one guest's files. All depend on the job's id only, so that create is idempotent. */
export function guestPaths(guestsDir: string, jobId: string): GuestPaths {
  const directory = join(guestsDir, guestName(jobId));
  return {
    directory,
    seed: join(directory, "seed.iso"),
    console: join(directory, "console.log"),
    slot: join(directory, "slot"),
  };
}

/** The dataset of a guest's disk. */
export function diskDataset(pool: string, jobId: string): string {
  return `${pool}/disks/${guestName(jobId)}`;
}

/** The dataset that zoneadm creates for the zone's directory. */
export function zoneDataset(pool: string, jobId: string): string {
  return `${pool}/zones/${guestName(jobId)}`;
}
