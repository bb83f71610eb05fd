import type { Job, LogStatus } from "../../gen/solstice/v1/jobs_pb.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import type { Output } from "../context.ts";
import { failedStep, stateTimings } from "./job-document.ts";
import { paintState } from "./output.ts";
import { dayText, durationText, manyLines, oneLine } from "./text.ts";

/**
 * A job's verdict as text for people: state, message, failing step, and the time of each state. While the guest is on hold,
 * the state is the one that the job will have after the hold.
 */
export function verdictText(job: Job, output: Output, now: number): string {
  const ended = job.verdict?.state ?? job.state;
  const state = paintState(output, ended, oneLine(ended));
  const message = manyLines(job.verdict?.message ?? "");
  const lines = [`Job ${job.id} ${state}${message ? `: ${message}` : ""}`];
  const step = failedStep(job);
  if (step) lines.push(`Failing step: ${oneLine(step.name)}${exitText(step.exitCode)}`);
  const timings = timingsText(job, now);
  if (timings) lines.push(timings);
  if (job.log && !isWhole(job.log)) lines.push(`The log is ${completenessText(job.log)}.`);
  return `${lines.join("\n")}\n`;
}

/** The states of a job with their times, in order, in one line; empty for a job without transitions. */
export function timingsText(job: Job, now: number): string {
  const parts = stateTimings(job, now).map(({ state, ms }) => `${oneLine(state)} ${durationText(ms)}`);
  return parts.length === 0 ? "" : `Time: ${parts.join(", ")}`;
}

/** True for a log that needs no remark: it is complete, or still grows. */
export function isWhole({ completeness }: LogStatus): boolean {
  return completeness === "complete" || completeness === "open" || completeness === "";
}

/** The completeness of a log as text; for a removed log with its date. `docs/reference/logs.md` explains each text. */
export function completenessText(log: LogStatus): string {
  const { completeness: word } = log;
  const missing = missingText(log);
  if (word === "truncated") return `truncated: ${missing} were not kept`;
  if (word === "gap") return `incomplete: ${missing} never arrived`;
  if (word === "differs") return "different from the guest's log: length or SHA-256 differ";
  if (word === "unproven") return "unproven: the guest sent no SHA-256 to compare it with";
  if (word === "cut_short") return "cut short: the guest ended before it reported the length of the log";
  if (word === "expired") return `removed by retention on ${dayText(log.expiredMs)}`;
  return oneLine(word);
}

/** `bytes 10–20 (10 B)`; `to` is the offset after the last byte of the range. */
export function rangeText(from: number, to: number): string {
  return `bytes ${from}–${to} (${formatBytes(to - from)})`;
}

function missingText(log: LogStatus): string {
  const { missingFrom: from, missingTo: to } = log;
  return from === undefined || to === undefined ? "some bytes" : rangeText(Number(from), Number(to));
}

/** ` (exit code 3)`, or an empty text without an exit code. */
export function exitText(exitCode: number | undefined): string {
  return exitCode === undefined ? "" : ` (exit code ${exitCode})`;
}
