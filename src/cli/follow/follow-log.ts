import { SolsticeError } from "../../core/errors.ts";
import { isFinal } from "../../core/job/job-state.ts";
import type { Job, LogsResponse } from "../../gen/solstice/v1/jobs_pb.ts";
import { type ApiRetryOptions, callWithRetry, createApiRetry, endedEarly } from "../api/api-retry.ts";
import { readStream } from "../api/api-streams.ts";
import { hasHeldGuest } from "../print/hold-text.ts";
import { jobStateOf } from "../print/job-document.ts";
import { rangeText } from "../print/verdict-text.ts";

/** The log to read. */
export interface LogPlace {
  readonly jobId: string;
  readonly stream: "output" | "console";
  /** 0: the current attempt; with `follow` also every later one. */
  readonly attempt: number;
  readonly follow: boolean;
  /** Only the output of this step; offsets count from its first byte. */
  readonly step?: string;
}

/** A piece of a log: `offset` is the place of its first byte in the log of `attempt`. */
export interface LogPiece {
  readonly attempt: number;
  readonly offset: number;
  readonly data: Uint8Array;
  /** Bytes before `offset` that the orchestrator did not keep. */
  readonly skipped: number;
}

/**
 * A job's log, every byte once and in order. After a broken connection, reading resumes at the offset reached. With
 * `follow`, the log ends when the job has ended, and after an attempt that is repeated the log of the next attempt follows,
 * from offset 0. Throws errors that a retry cannot repair, and `internal` when bytes are missing.
 */
export async function* followLog(place: LogPlace, options: ApiRetryOptions): AsyncGenerator<LogPiece> {
  const { session, signal } = options;
  const apiRetry = createApiRetry(options);
  let { attempt } = place;
  let offset = 0;
  for (;;) {
    try {
      const request = { ...place, attempt, offset: BigInt(offset) };
      for await (const message of readStream((call) => session.client.logs(request, call), signal)) {
        apiRetry.reset();
        attempt = message.attempt || attempt;
        const piece = { attempt, ...unseenPart(message, offset) };
        offset = piece.offset + piece.data.length;
        yield piece;
      }
      const next = place.follow ? await continuationOf({ ...place, attempt }, offset, options) : "nothing";
      if (next === "nothing" || (next === "attempt" && place.attempt > 0)) return;
      if (next === "more") throw endedEarly();
      attempt += 1;
      offset = 0;
    } catch (error) {
      await apiRetry.waitAfter(error);
    }
  }
}

/**
 * The part of a message that was not read before. The API sends from the requested offset, and reports the bytes that were
 * not kept. Repeated bytes are dropped; a gap that the API did not report is an error rather than a silent loss.
 */
function unseenPart(message: LogsResponse, offset: number): Omit<LogPiece, "attempt"> {
  const start = Number(message.offset);
  if (start <= offset) return { offset, data: message.data.subarray(offset - start), skipped: 0 };
  if (start - Number(message.skippedBytes) <= offset) {
    return { offset: start, data: message.data, skipped: start - offset };
  }
  throw new SolsticeError(
    "internal",
    `The log has a gap: ${start - offset} bytes at offset ${offset} are missing.`,
    {
      remedy: "Please report this defect. 'solstice jobs JOB' shows whether the stored log is complete.",
    },
  );
}

/** The log after a stream that ended: `nothing`, `more` of this attempt, or the log of another `attempt`. */
async function continuationOf(place: LogPlace, offset: number, options: ApiRetryOptions) {
  const { job } = await callWithRetry(options, (client, call) => client.get({ jobId: place.jobId }, call));
  if (!job) return "nothing";
  if (job.attempt > place.attempt) return "attempt";
  // The output of a job does not grow while its guest is on hold.
  const hasEnded = isFinal(jobStateOf(job)) || (place.stream === "output" && hasHeldGuest(job));
  if (job.attempt === place.attempt && job.state === "queued") return "attempt";
  // The API ends a step's log with the step.
  if (place.step !== undefined && (hasEnded || hasStepEnded(job, place.step))) return "nothing";
  return hasEnded && !isShort(job, place, offset) ? "nothing" : "more";
}

function hasStepEnded(job: Job, name: string): boolean {
  const step = job.steps.find((each) => each.name === name) ?? job.steps[Number(name)];
  return step !== undefined && step.state !== "pending" && step.state !== "running";
}

function isShort(job: Job, place: LogPlace, offset: number): boolean {
  return (
    place.stream === "output" && job.attempt === place.attempt && offset < Number(job.log?.receivedBytes ?? 0)
  );
}

/** The line to print instead of bytes that were not kept. The text begins with a newline, because the log may end within a line. */
export function skippedText({ offset, skipped }: LogPiece): string {
  return `\nsolstice: ${rangeText(offset - skipped, offset)} were not kept: the log exceeded LOG_LIMIT_MB\n`;
}
