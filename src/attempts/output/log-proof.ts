import type { Job, Machine } from "../../core/job/job.ts";
import { isFinal } from "../../core/job/job-state.ts";
import type { DroppedRange } from "../../core/job/log-window.ts";
import type { LogStatus } from "../../store/logs/logs.ts";

/** What a guest without any tool for SHA-256 sends as the digest. */
const noDigest = "0".repeat(64);

/** What a guest told of its output. */
interface Reported {
  readonly logLength: number | null;
  readonly logSha256: string | null;
}

/** Whether a log is all there is; `docs/reference/logs.md` explains each word. */
export type Completeness =
  | "open"
  | "complete"
  | "truncated"
  | "gap"
  | "differs"
  | "unproven"
  | "cut_short"
  | "expired";

/** A verdict about a log: the word, and the bytes that are known to be missing. */
export interface LogProof {
  readonly word: Completeness;
  readonly missing: DroppedRange | null;
}

/**
 * Compares what was received with what the guest says it wrote. Length and digest count every byte that came, kept or
 * not: a log that was truncated is proved, too.
 */
export function compareLog(output: LogStatus, reported: Reported): LogProof {
  const { received, dropped } = output;
  const length = reported.logLength ?? 0;
  if (received < length) return { word: "gap", missing: { from: received, to: length } };
  if (received > length) return { word: "differs", missing: dropped };
  if (output.sha256 === null || reported.logSha256 === noDigest)
    return { word: "unproven", missing: dropped };
  if (output.sha256 !== reported.logSha256) return { word: "differs", missing: dropped };
  return { word: dropped === null ? "complete" : "truncated", missing: dropped };
}

/** Whether an attempt's output is all there is. Nothing is called complete without proof. */
export function proofOf(job: Job, machine: Machine | null, output: LogStatus): LogProof {
  const { dropped: missing } = output;
  if (output.expiredAt !== null) return { word: "expired", missing: null };
  const isOver = job.state === "queued" || isFinal(job.state);
  // Without a plan nothing ran, so nothing can be missing.
  const ran = machine !== null && machine.runnerStartedAt !== null;
  if (!ran) return { word: isFinal(job.state) ? "complete" : "open", missing };
  if (machine.runnerFinishedAt !== null) return compareLog(output, machine);
  if (isOver) return cutShort(output, machine);
  return { word: missing === null ? "open" : "truncated", missing };
}

/** The guest is gone. What it had counted by then it may have told; what it wrote after that nobody knows. */
function cutShort(output: LogStatus, reported: Reported): LogProof {
  if (reported.logLength !== null && reported.logLength > output.received)
    return compareLog(output, reported);
  return { word: "cut_short", missing: output.dropped };
}
