import type { Job, LogStatus } from "../../gen/solstice/v1/jobs_pb.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import type { Output } from "../context.ts";
import { failedStep, stateTimings } from "./job-document.ts";
import { paintState } from "./output.ts";
import { dayText, durationText, manyLines, oneLine } from "./text.ts";

/**
 * How a job ended, for a person: state, sentence, failing step, and the time each state took. Of a job whose guest is on hold
 * the state is the one that the job will have after it.
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

/** The states of a job with their times, in order, in one line; empty when nothing is known. */
export function timingsText(job: Job, now: number): string {
  const parts = stateTimings(job, now).map(({ state, ms }) => `${oneLine(state)} ${durationText(ms)}`);
  return parts.length === 0 ? "" : `Time: ${parts.join(", ")}`;
}

/** Whether there is nothing to say about a log: it is all there, or still grows. */
export function isWhole({ completeness }: LogStatus): boolean {
  return completeness === "complete" || completeness === "open" || completeness === "";
}

/** Whether a log is all there is, in words; of one that is gone, since when. `docs/reference/logs.md` explains each. */
export function completenessText(log: LogStatus): string {
  const { completeness: word } = log;
  const missing = missingText(log);
  if (word === "truncated") return `truncated: ${missing} were not kept`;
  if (word === "gap") return `incomplete: ${missing} never arrived`;
  if (word === "differs") return "not what the guest says it wrote: length or SHA-256 differ";
  if (word === "unproven") return "unproven: there is no SHA-256 to compare it with";
  if (word === "cut_short") return "cut short: the guest was gone before it had told where the log ends";
  if (word === "expired") return `removed by retention on ${dayText(log.expiredMs)}`;
  return oneLine(word);
}

/** `bytes 10–20 (10 B)`; the second offset is the first one that is not missing. */
export function rangeText(from: number, to: number): string {
  return `bytes ${from}–${to} (${formatBytes(to - from)})`;
}

function missingText(log: LogStatus): string {
  const { missingFrom: from, missingTo: to } = log;
  return from === undefined || to === undefined ? "some bytes" : rangeText(Number(from), Number(to));
}

/** ` (exit code 3)`, or nothing where none is known. */
export function exitText(exitCode: number | undefined): string {
  return exitCode === undefined ? "" : ` (exit code ${exitCode})`;
}
