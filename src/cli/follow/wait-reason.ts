import { setTimeout as sleep } from "node:timers/promises";
import type { ExplainResponse } from "../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../api/api-session.ts";
import type { CliContext } from "../context.ts";
import { createStatusLine, type StatusLine } from "../print/status-line.ts";
import { durationText, oneLine } from "../print/text.ts";

/**
 * Shows on stderr why a job does not run yet: on a terminal in one line that is updated, elsewhere in a new line when the
 * reason changes. Ends by itself when the job runs.
 */
export interface WaitReason {
  /** Starts to show the reason. Idempotent while the reason is shown. */
  begin(): void;
  /** Stops and clears the line: the job runs, or the caller writes other output. */
  end(): void;
}

/** Intervals of the display, in ms. */
export interface WaitPace {
  /** A job that starts within this time needs no reason. */
  readonly silentMs: number;
  /** Interval of updates on a terminal, whose line shows the time that has passed. */
  readonly tickMs: number;
  /** First and longest interval between requests. An answer reads the whole queue, and many clients may wait. */
  readonly firstPollMs: number;
  readonly longestPollMs: number;
}

const usualPace: WaitPace = { silentMs: 1000, tickMs: 1000, firstPollMs: 2000, longestPollMs: 15_000 };

/** Growth of each pause between two requests. */
const pollGrowth = 1.5;

/** States after the queue and before the job's first byte of output. */
const beginning = ["provisioning", "booting"];

/** Shows the API's explanation why a job waits. `jobId` is a full id. */
export function createWaitReason(
  jobId: string,
  options: { readonly context: CliContext; readonly session: ApiSession; readonly pace?: WaitPace },
): WaitReason {
  const { context, session, pace = usualPace } = options;
  const line = createStatusLine(context.stderr);
  let stop: AbortController | null = null;
  return {
    begin() {
      if (stop !== null) return;
      const mine = new AbortController();
      stop = mine;
      // An abort by `end` rejects the promise. An outage of the API is reported by the call that follows the job.
      const shown = showReasons(jobId, { context, session, pace, line, signal: mine.signal }).catch(() => {});
      void shown.then(() => {
        if (stop === mine) stop = null;
      });
    },
    end() {
      stop?.abort();
      stop = null;
      line.clear();
    },
  };
}

interface Showing {
  readonly context: CliContext;
  readonly session: ApiSession;
  readonly pace: WaitPace;
  readonly line: StatusLine;
  readonly signal: AbortSignal;
}

/** A text to show; `key` is equal for answers with the same reason. */
interface Reason {
  readonly key: string;
  readonly text: (time: string) => string;
}

async function showReasons(jobId: string, showing: Showing): Promise<void> {
  const { context, pace, line, signal } = showing;
  const since = context.now();
  let reason: Reason | "runs" | null = null;
  let pollMs = pace.firstPollMs;
  let pollAt = 0;
  await sleep(pace.silentMs, undefined, { signal });
  for (;;) {
    if (context.now() >= pollAt) {
      reason = (await pollReason(jobId, showing)) ?? reason;
      pollAt = context.now() + pollMs;
      pollMs = Math.min(pollMs * pollGrowth, pace.longestPollMs);
    }
    signal.throwIfAborted();
    if (reason === "runs") return line.clear();
    const time = context.stderr.isTTY ? ` (${durationText(context.now() - since)})` : "";
    if (reason !== null) line.show(reason.text(time), reason.key);
    await sleep(pace.tickMs, undefined, { signal });
  }
}

/** The reason, or `runs` for a job that does not wait. Null: the API does not answer. */
async function pollReason(
  jobId: string,
  { context, session, signal }: Showing,
): Promise<Reason | "runs" | null> {
  try {
    const answer = await session.call((client, call) => client.explain({ jobId }, { ...call, signal }));
    if (answer.constraint !== "not_waiting") return reasonOf(jobId, answer, context.now());
    const { job } = await session.call((client, call) => client.get({ jobId }, { ...call, signal }));
    const state = job?.state ?? "";
    if (!beginning.includes(state)) return "runs";
    return { key: state, text: (time) => `Job ${jobId} is ${state}${time}.` };
  } catch {
    return null;
  }
}

function reasonOf(jobId: string, answer: ExplainResponse, now: number): Reason {
  const { message, estimatedStartMs } = answer;
  const leftMs = estimatedStartMs === undefined ? 0 : Number(estimatedStartMs) - now;
  const estimate = leftMs > 0 ? ` It may start in ${durationText(leftMs)}.` : "";
  return {
    key: keyOf(answer),
    text: (time) => `Job ${jobId} waits${time}: ${oneLine(message)}${estimate}`,
  };
}

/** Constraints whose messages count other jobs: a changed number is not a changed reason. */
const counting = ["label_cap", "global_cap", "behind_others"];

function keyOf({ constraint, message }: ExplainResponse): string {
  const text = counting.includes(constraint) ? "" : message.replace(/\d+(?:\.\d+)?(?: [KMGT]?i?B)?/g, "#");
  return `${constraint} ${text}`;
}
