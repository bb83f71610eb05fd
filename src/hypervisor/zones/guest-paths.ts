import { join } from "node:path";
import { guestName } from "../../core/job/job.ts";

/** Where the files of one guest are. */
export interface GuestPaths {
  readonly directory: string;
  readonly seed: string;
  readonly console: string;
  /** Says which slot the guest has. */
  readonly slot: string;
}

/** Names the files of one guest. All follow from the job's id, so that a repeated create is the same create. */
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

/** The dataset that zoneadm makes for the zone's directory. */
export function zoneDataset(pool: string, jobId: string): string {
  return `${pool}/zones/${guestName(jobId)}`;
}
