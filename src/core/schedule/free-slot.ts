import type { HostRecord } from "../hosts/host-facts.ts";
import { serves } from "./placement.ts";
import { freeSlotBeside, type QueuedJob, type RunningJob } from "./scheduler.ts";

/**
 * Tells whether a host could start one more job of a label and image now, by what it told of itself and the jobs that run
 * there: it holds its lease, starts jobs at all, has the image ready, and a slot.
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
