import { type LogSpan, spanOfStep, wholeLog } from "../attempts/output/log-span.ts";
import { SolsticeError } from "../core/errors.ts";
import type { Job, LogStream } from "../core/job/job.ts";
import { isFinal } from "../core/job/job-state.ts";
import { getJob } from "../store/jobs/jobs.ts";
import { getMachine } from "../store/jobs/machines.ts";
import { logStatus, readLogBeyond } from "../store/logs/logs.ts";
import type { Store } from "../store/store.ts";
import { listenForWakes } from "../store/wakes.ts";

/** Most bytes of one message. The next piece is read from the store only when the reader took this one. */
const pieceBytes = 256 * 1024;

/** How often a follower looks when no wake-up comes. */
const safetyPollMs = 3000;

/** What {@link readJobLog} reads. */
export interface JobLogOptions {
  readonly job: Job;
  readonly stream: LogStream;
  /** 0: the attempt that is current now. With `follow` also the next one, which is waited for. */
  readonly attempt: number;
  readonly offset: number;
  readonly follow: boolean;
  /** Only what this step wrote, offsets counted from its beginning; null for everything. */
  readonly step: string | null;
  readonly signal: AbortSignal;
  readonly pollMs?: number;
}

/** A piece of a log; the first of a stream is empty and tells the attempt. */
export interface LogPiece {
  readonly attempt: number;
  readonly offset: number;
  readonly data: Uint8Array;
  /** Bytes before `offset` that the one who reads does not get, since they were not kept. */
  readonly skipped: number;
}

/**
 * An attempt's log from an offset on. Without `follow` it ends where the log ended when it began; with it, when the
 * attempt has ended, or only its guest is left on hold, and all of it was sent. Rejects with the reason of `signal`.
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
  // Looked at last, so that a log that goes while it is read does not end as if it were whole.
  await refuseExpired(store, log);
}

/** Attempt 0 of a job that was never claimed means the first one: there is none before it. */
function chooseAttempt({ job, attempt, follow }: JobLogOptions): number {
  const chosen = attempt === 0 ? Math.max(job.attempt, 1) : attempt;
  const last = follow && !isFinal(job.state) ? job.attempt + 1 : Math.max(job.attempt, 1);
  if (chosen >= 1 && chosen <= last) return chosen;
  throw noSuchAttempt(job, attempt);
}

/** The error for an attempt that a job did not have. */
export function noSuchAttempt(job: Pick<Job, "id" | "attempt">, attempt: number): SolsticeError {
  return new SolsticeError(
    "not_found",
    `Job ${job.id} has no attempt ${attempt}; it had ${job.attempt} so far.`,
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

/** Null while the step has not begun. */
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
    // The job is read before its log: what an ended attempt wrote is then certainly in the log.
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

/** Throws `not_found` for a log that is not there any more: nothing at all would look like a job that said nothing. */
async function refuseExpired(store: Store, log: LogName): Promise<void> {
  const { expiredAt } = await logStatus(store, log);
  if (expiredAt === null) return;
  const what = `The ${log.stream} log of attempt ${log.attempt} of job ${log.jobId}`;
  const date = new Date(expiredAt).toISOString().slice(0, 10);
  throw new SolsticeError("not_found", `${what} was removed by retention on ${date}.`, {
    remedy: "Logs are kept as long as LOG_STORE_LIMIT_MB and JOB_RETENTION of the orchestrator allow.",
  });
}

/** What the store has of a span, from an offset in it on; the pieces' offsets count from the span's beginning. */
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

/** An attempt has ended when its job has, when a later one began, or when the job waits for a later one. */
function attemptEnded(job: Job, attempt: number): boolean {
  if (isFinal(job.state) || job.attempt > attempt) return true;
  return job.attempt === attempt && job.state === "queued";
}

/**
 * Whether only the guest of a failed job is left, on hold: a hold begins when the runner has sent all output. The guest's console
 * goes on.
 */
async function isOnlyHeld(store: Store, job: Job, { jobId, attempt, stream }: LogName): Promise<boolean> {
  const { request, state } = job;
  if (stream !== "output" || state !== "finalizing" || request.hold_on_failure_seconds === undefined)
    return false;
  const machine = await getMachine(store, { jobId, attempt });
  return machine !== null && machine.holdUntilAt !== null;
}
