import { type LogSpan, spanOfStep, wholeLog } from "../attempts/output/log-span.ts";
import { SolsticeError } from "../core/errors.ts";
import type { Job, LogStream } from "../core/job/job.ts";
import { isFinal } from "../core/job/job-state.ts";
import { getJob } from "../store/jobs/jobs.ts";
import { getMachine } from "../store/jobs/machines.ts";
import { logStatus, readLogBeyond } from "../store/logs/logs.ts";
import type { Store } from "../store/store.ts";
import { listenForWakes } from "../store/wakes.ts";

/**
 * Maximum bytes of one message. The next piece is read from the store only when the reader has taken this
 * one.
 */
const pieceBytes = 256 * 1024;

/** Milliseconds between polls of a follower that receives no wake-up. */
const safetyPollMs = 3000;

/** The selection of {@link readJobLog}. */
export interface JobLogOptions {
  readonly job: Job;
  readonly stream: LogStream;
  /** 0: the current attempt. With `follow`, the next attempt is also allowed, and waited for. */
  readonly attempt: number;
  readonly offset: number;
  readonly follow: boolean;
  /** Only the output of this step, with offsets counted from its beginning; null for everything. */
  readonly step: string | null;
  readonly signal: AbortSignal;
  readonly pollMs?: number;
}

/** A piece of a log. The first piece of a stream is empty and names the attempt. */
export interface LogPiece {
  readonly attempt: number;
  readonly offset: number;
  readonly data: Uint8Array;
  /** Bytes before `offset` that the reader does not receive, because the store dropped them. */
  readonly skipped: number;
}

/**
 * Streams an attempt's log from an offset. Without `follow` the stream ends at the end that the log had at
 * the call. With `follow` it ends after all bytes were sent and the attempt has ended, or only its guest on
 * hold remains. Rejects with the reason of `signal`.
 */
export async function* readJobLog(store: Store, options: JobLogOptions): AsyncGenerator<LogPiece> {
  const { job, stream, signal } = options;
  const attempt = chooseAttempt(options);
  yield { attempt, offset: options.offset, data: new Uint8Array(), skipped: 0 };
  const log = { jobId: job.id, attempt, stream, step: options.step, offset: options.offset };
  if (options.follow) {
    yield* followLog(store, { ...log, signal, pollMs: options.pollMs ?? safetyPollMs });
    return;
  }
  const { received } = await logStatus(store, log);
  const span = await findSpan(store, log);
  if (span !== null) yield* sendSpan(store, log, { ...span, end: Math.min(received, span.end ?? received) });
  // Checked last, so that a log that is removed during the read does not end as if it were complete.
  await refuseExpired(store, log);
}

/** Resolves attempt 0. For a job that was never claimed, it means the first attempt. */
function chooseAttempt({ job, attempt, follow }: JobLogOptions): number {
  const chosen = attempt === 0 ? Math.max(job.attempt, 1) : attempt;
  const last = follow && !isFinal(job.state) ? job.attempt + 1 : Math.max(job.attempt, 1);
  if (chosen >= 1 && chosen <= last) return chosen;
  throw noSuchAttempt(job, attempt);
}

/** The error for an attempt that a job never had. */
export function noSuchAttempt(job: Pick<Job, "id" | "attempt">, attempt: number): SolsticeError {
  return new SolsticeError(
    "not_found",
    `Job ${job.id} has no attempt ${attempt}; its latest attempt is ${job.attempt}.`,
  );
}

interface LogName {
  readonly jobId: string;
  readonly attempt: number;
  readonly stream: LogStream;
}

interface LogPlace extends LogName {
  readonly offset: number;
  readonly step: string | null;
}

/** Null while the step has not started. */
async function findSpan(store: Store, place: LogPlace): Promise<LogSpan | null> {
  return place.step === null ? wholeLog : await spanOfStep(store, place, place.step);
}

async function* followLog(
  store: Store,
  options: LogPlace & { signal: AbortSignal; pollMs: number },
): AsyncGenerator<LogPiece> {
  const { jobId, attempt, pollMs, signal } = options;
  using wakes = listenForWakes(store, (wake) => wake.jobId === jobId);
  let { offset } = options;
  for (;;) {
    // The job is read before its log: the log of an ended attempt is then complete.
    const job = await getJob(store, jobId);
    const hasEnded = job === null || attemptEnded(job, attempt) || (await isOnlyHeld(store, job, options));
    const span = await findSpan(store, options);
    for await (const piece of span === null ? [] : sendSpan(store, { ...options, offset }, span)) {
      offset = piece.offset + piece.data.length;
      yield piece;
    }
    const hasAll = span !== null && span.end !== null && span.start + offset >= span.end;
    if (hasAll || hasEnded) return refuseExpired(store, options);
    await wakes.next({ timeoutMs: pollMs, signal });
  }
}

/** Throws `not_found` for a log that was removed: an empty answer would look like a job without output. */
async function refuseExpired(store: Store, log: LogName): Promise<void> {
  const { expiredAt } = await logStatus(store, log);
  if (expiredAt === null) return;
  const what = `The ${log.stream} log of attempt ${log.attempt} of job ${log.jobId}`;
  const date = new Date(expiredAt).toISOString().slice(0, 10);
  throw new SolsticeError("not_found", `${what} was removed by retention on ${date}.`, {
    remedy: "To keep logs longer, raise LOG_STORE_LIMIT_MB or JOB_RETENTION of the orchestrator.",
  });
}

/**
 * Sends the stored bytes of a span from an offset; the offsets of the pieces count from the span's beginning.
 */
async function* sendSpan(store: Store, place: LogPlace, span: LogSpan): AsyncGenerator<LogPiece> {
  const end = span.end ?? Number.MAX_SAFE_INTEGER;
  const range = { ...place, offset: span.start + place.offset, end };
  for await (const piece of sendLog(store, range)) yield { ...piece, offset: piece.offset - span.start };
}

async function* sendLog(
  store: Store,
  options: LogName & { offset: number; end: number },
): AsyncGenerator<LogPiece> {
  const { attempt, end } = options;
  let { offset } = options;
  while (offset < end) {
    const piece = await readLogBeyond(store, { ...options, offset, maxBytes: pieceBytes });
    const data = piece.data.subarray(0, Math.max(0, end - piece.offset));
    if (data.length === 0) return;
    yield { attempt, offset: piece.offset, data, skipped: piece.offset - offset };
    offset = piece.offset + data.length;
  }
}

/**
 * An attempt has ended when its job has ended, when a later attempt has begun, or when the job waits for a
 * later one.
 */
function attemptEnded(job: Job, attempt: number): boolean {
  if (isFinal(job.state) || job.attempt > attempt) return true;
  return job.attempt === attempt && job.state === "queued";
}

/**
 * True when only the guest of a failed job remains, on hold. A hold begins after the runner has sent all
 * output; the guest's console continues.
 */
async function isOnlyHeld(store: Store, job: Job, { jobId, attempt, stream }: LogName): Promise<boolean> {
  const { request, state } = job;
  if (stream !== "output" || state !== "finalizing" || request.hold_on_failure_seconds === undefined)
    return false;
  const machine = await getMachine(store, { jobId, attempt });
  return machine !== null && machine.holdUntilAt !== null;
}
