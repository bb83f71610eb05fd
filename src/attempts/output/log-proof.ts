import type { Job, Machine } from "../../core/job/job.ts";
import { isFinal } from "../../core/job/job-state.ts";
import type { DroppedRange } from "../../core/job/log-window.ts";
import type { LogStatus } from "../../store/logs/logs.ts";

/** The digest sent by a guest that cannot compute SHA-256. */
const noDigest = "0".repeat(64);

/** Length and digest of the output, as the guest reported them. */
interface Reported {
  readonly logLength: number | null;
  readonly logSha256: string | null;
}

/** The completeness of a log; `docs/reference/logs.md` explains each word. */
export type Completeness =
  | "open"
  | "complete"
  | "truncated"
  | "gap"
  | "differs"
  | "unproven"
  | "cut_short"
  | "expired";

/** The verdict about a log: the completeness, and the missing bytes if they can be named. */
export interface LogProof {
  readonly word: Completeness;
  readonly missing: DroppedRange | null;
}

/**
 * Compares the received output with the length and digest that the guest reported. Both count every byte
 * received, stored or not: a truncated log can be proved, too.
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

/** The completeness of an attempt's output. The result is `complete` only with proof. */
export function proofOf(job: Job, machine: Machine | null, output: LogStatus): LogProof {
  const { dropped: missing } = output;
  if (output.expiredAt !== null) return { word: "expired", missing: null };
  const isOver = job.state === "queued" || isFinal(job.state);
  // Without a plan no step ran, so no output is missing.
  const ran = machine !== null && machine.runnerStartedAt !== null;
  if (!ran) return { word: isFinal(job.state) ? "complete" : "open", missing };
  if (machine.runnerFinishedAt !== null) return compareLog(output, machine);
  if (isOver) return cutShort(output, machine);
  return { word: missing === null ? "open" : "truncated", missing };
}

/** Compares the log of a lost guest. The guest may have reported a length; later output is unknown. */
function cutShort(output: LogStatus, reported: Reported): LogProof {
  if (reported.logLength !== null && reported.logLength > output.received)
    return compareLog(output, reported);
  return { word: "cut_short", missing: output.dropped };
}
