import { isActive } from "../job/job-state.ts";
import type { JobEntry } from "./inventories.ts";

/** Whether a job, as the store has it now, is active on this host (at this attempt, where one is named). */
export function holds(hostId: string, job: JobEntry | undefined, attempt?: number): boolean {
  if (job === undefined || !isActive(job.state) || job.hostId !== hostId) return false;
  return attempt === undefined || job.attempt === attempt;
}

/** Why a job does not own what lies on this host, as the beginning of a sentence about it. */
export function whyNotHeld(hostId: string, job: JobEntry | undefined): string {
  if (job === undefined) {
    return "The store knows no job of this id: it was removed, or the store was restored from an older backup or replaced.";
  }
  if (job.state === "queued") {
    return "Its job waits for its next attempt: the orchestrator was stopped before it had removed the guest of the last one.";
  }
  if (isActive(job.state) && job.hostId !== hostId) {
    return `Its job was taken over by host ${job.hostId}, because this host had not been heard of for too long.`;
  }
  return `Its job is ${job.state}: the orchestrator was stopped before it had removed the guest, or something restored it.`;
}
