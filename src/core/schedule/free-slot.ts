import type { HostRecord } from "../hosts/host-facts.ts";
import { serves } from "./placement.ts";
import { freeSlotBeside, type QueuedJob, type RunningJob } from "./scheduler.ts";

/**
 * Returns a predicate that is true when a host could start one more job of a label and image now. The host's facts and
 * its running jobs decide: the host holds its lease, is not draining or paused, has the image ready, and has a free
 * slot.
 */
export function freeSlotOn(
  host: Pick<HostRecord, "lostAt" | "facts">,
  running: readonly RunningJob[],
): (job: Pick<QueuedJob, "label" | "image">) => boolean {
  const { facts } = host;
  const isOpen = !facts.draining && facts.paused === null && running.length < facts.maxConcurrency;
  const isUnderCaps = freeSlotBeside(running, new Map(Object.entries(facts.labelCaps)));
  return (job) =>
    isOpen && serves(host, job.image) && facts.images[job.image]?.ready === true && isUnderCaps(job);
}
