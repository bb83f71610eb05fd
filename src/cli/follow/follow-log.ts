import { SolsticeError } from "../../core/errors.ts";
import { isFinal } from "../../core/job/job-state.ts";
import type { Job, LogsResponse } from "../../gen/solstice/v1/jobs_pb.ts";
import { type ApiRetryOptions, askPatiently, createApiRetry, endedEarly } from "../api/api-retry.ts";
import { readStream } from "../api/api-streams.ts";
import { hasHeldGuest } from "../print/hold-text.ts";
import { jobStateOf } from "../print/job-document.ts";
import { rangeText } from "../print/verdict-text.ts";

/** Which log to read. */
export interface LogPlace {
  readonly jobId: string;
  readonly stream: "output" | "console";
  /** 0: the attempt that is current now; with `follow` also every later one. */
  readonly attempt: number;
  readonly follow: boolean;
  /** Only what this step wrote, offsets counted from its beginning. */
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
 * A job's log, every byte once and in order, whatever becomes of the connection meanwhile: after a break it goes on at
 * the offset reached. With `follow` it ends when the job has ended; an attempt that is repeated is followed by the next
 * one's log, from 0. Throws what cannot be waited out, and `internal` when bytes are missing.
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
      const next = place.follow ? await whatFollows({ ...place, attempt }, offset, options) : "nothing";
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
 * The API sends from the offset asked for, and says where it skips what was not kept. A repeat is dropped, and a hole that
 * the API did not report is an error rather than a silent loss.
 */
function unseenPart(message: LogsResponse, offset: number): Omit<LogPiece, "attempt"> {
  const start = Number(message.offset);
  if (start <= offset) return { offset, data: message.data.subarray(offset - start), skipped: 0 };
  if (start - Number(message.skippedBytes) <= offset) {
    return { offset: start, data: message.data, skipped: start - offset };
  }
  throw new SolsticeError(
    "internal",
    `The log has a hole: ${start - offset} bytes at offset ${offset} are missing.`,
    {
      remedy: "Please report it; 'solstice jobs JOB' says whether the log is complete.",
    },
  );
}

/** Whether a stream that ended is all there is, breaks off before its end, or is followed by another attempt. */
async function whatFollows(place: LogPlace, offset: number, options: ApiRetryOptions) {
  const { job } = await askPatiently(options, (client, call) => client.get({ jobId: place.jobId }, call));
  if (!job) return "nothing";
  if (job.attempt > place.attempt) return "attempt";
  // Nothing is added to the output of a job whose guest is on hold.
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

/** The line that stands in for bytes that were not kept. It begins a line of its own: where the last one ended is not known. */
export function skippedText({ offset, skipped }: LogPiece): string {
  return `\nsolstice: ${rangeText(offset - skipped, offset)} were not kept: the log exceeded LOG_LIMIT_MB\n`;
}
