import { createHash } from "node:crypto";
import type { Job, Machine } from "../core/job.ts";
import { isFinal } from "../core/job-state.ts";

/** What the store knows of an attempt's `output` log. The digest is null where bytes were not kept, or none came. */
export interface OutputStatus {
  readonly received: number;
  readonly truncatedAt: number | null;
  /** When retention removed the bytes; null while they are there. */
  readonly expiredAt: number | null;
  readonly sha256: string | null;
}

const digestOfNothing = createHash("sha256").digest("hex");

/**
 * Whether what was received is what the guest says it wrote. A log that was cut at its limit can only be counted; what
 * was kept of it is shown as truncated.
 */
export function isWholeLog(
  output: OutputStatus,
  told: { logLength: number | null; logSha256: string | null },
): boolean {
  if (output.received !== told.logLength) return false;
  if (output.truncatedAt !== null) return true;
  return told.logSha256 === (output.received === 0 ? digestOfNothing : output.sha256);
}

/** Whether the log is all there is, as `LogStatus.completeness` names it. Nothing is called complete without proof. */
export function completenessOf(
  job: Job,
  machine: Machine | null,
  output: OutputStatus,
): "open" | "complete" | "truncated" | "incomplete" | "expired" {
  if (output.expiredAt !== null) return "expired";
  // No machine, no output: nothing can be missing from a job that never ran.
  if (machine === null) return isFinal(job.state) && job.attempt === 0 ? "complete" : "open";
  if (machine.runnerFinishedAt === null) {
    if (job.state === "queued" || isFinal(job.state)) return "incomplete";
    return output.truncatedAt === null ? "open" : "truncated";
  }
  if (!isWholeLog(output, machine)) return "incomplete";
  return output.truncatedAt === null ? "complete" : "truncated";
}
