import { isActive } from "../job/job-state.ts";
import type { JobEntry } from "./inventories.ts";

/** True when a job, as the store has it now, is active on this host (and at `attempt`, if given). */
export function holds(hostId: string, job: JobEntry | undefined, attempt?: number): boolean {
  if (job === undefined || !isActive(job.state) || job.hostId !== hostId) return false;
  return attempt === undefined || job.attempt === attempt;
}

/** The reason why a job does not own what was found on this host, as the first sentence of a leak's cause. */
export function whyNotHeld(hostId: string, job: JobEntry | undefined): string {
  if (job === undefined) {
    return "The store has no job with this id: the job was removed, or the store was replaced or restored from an older backup.";
  }
  if (job.state === "queued") {
    return "Its job waits for the next attempt: the orchestrator stopped before it removed the guest of the last attempt.";
  }
  if (isActive(job.state) && job.hostId !== hostId) {
    return `Its job was taken over by host ${job.hostId}, because this host did not renew its lease in time.`;
  }
  return `Its job is ${job.state}: the orchestrator stopped before it removed the guest, or the guest was restored later.`;
}
