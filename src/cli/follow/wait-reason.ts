import { setTimeout as sleep } from "node:timers/promises";
import type { ExplainResponse } from "../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../api/api-session.ts";
import type { CliContext } from "../context.ts";
import { createStatusLine, type StatusLine } from "../print/status-line.ts";
import { durationText, oneLine } from "../print/text.ts";

/**
 * Shows on stderr why a job does not run yet: on a terminal in one line that is updated, elsewhere in a new line when the
 * reason changes. It ends by itself when the job runs.
 */
export interface WaitReason {
  /** The job may wait. Calls while its reason is shown already change nothing. */
  begin(): void;
  /** The job waits no longer, or something else is about to be written. */
  end(): void;
}

/** When things are shown, in ms. */
export interface WaitPace {
  /** A job that starts within this time needs no reason. */
  readonly silentMs: number;
  /** How often a terminal's line is written again: its time counts. */
  readonly tickMs: number;
  /** How often the API is asked at first, and at last: an answer looks at the whole queue, and many may wait. */
  readonly firstAskMs: number;
  readonly longestAskMs: number;
}

const usualPace: WaitPace = { silentMs: 1000, tickMs: 1000, firstAskMs: 2000, longestAskMs: 15_000 };

/** How much longer each pause between two questions is. */
const askGrowth = 1.5;

/** States before a job's first byte of output, in which it does not wait for a place. */
const beginning = ["provisioning", "booting"];

/** Shows why `jobId`, a whole id, waits, as the API explains it. */
export function createWaitReason(
  jobId: string,
  means: { readonly context: CliContext; readonly session: ApiSession; readonly pace?: WaitPace },
): WaitReason {
  const { context, session, pace = usualPace } = means;
  const line = createStatusLine(context.stderr);
  let stop: AbortController | null = null;
  return {
    begin() {
      if (stop !== null) return;
      const mine = new AbortController();
      stop = mine;
      // It fails when `end` aborts it: a lost API is reported by the call that follows the job.
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

/** What to show; `key` is equal for answers that give the same reason. */
interface Reason {
  readonly key: string;
  readonly text: (time: string) => string;
}

async function showReasons(jobId: string, showing: Showing): Promise<void> {
  const { context, pace, line, signal } = showing;
  const since = context.now();
  let reason: Reason | "runs" | null = null;
  let askMs = pace.firstAskMs;
  let askAt = 0;
  await sleep(pace.silentMs, undefined, { signal });
  for (;;) {
    if (context.now() >= askAt) {
      reason = (await askReason(jobId, showing)) ?? reason;
      askAt = context.now() + askMs;
      askMs = Math.min(askMs * askGrowth, pace.longestAskMs);
    }
    signal.throwIfAborted();
    if (reason === "runs") return line.clear();
    const time = context.stderr.isTTY ? ` (${durationText(context.now() - since)})` : "";
    if (reason !== null) line.show(reason.text(time), reason.key);
    await sleep(pace.tickMs, undefined, { signal });
  }
}

/** `runs`: the job needs no reason any more. Null: the API does not answer now. */
async function askReason(
  jobId: string,
  { context, session, signal }: Showing,
): Promise<Reason | "runs" | null> {
  try {
    const answer = await session.ask((client, call) => client.explain({ jobId }, { ...call, signal }));
    if (answer.constraint !== "not_waiting") return reasonOf(jobId, answer, context.now());
    const { job } = await session.ask((client, call) => client.get({ jobId }, { ...call, signal }));
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

/** Constraints whose messages count jobs behind a colon: other numbers are no other reason. */
const counting = ["label_cap", "global_cap", "behind_others"];

function keyOf({ constraint, message }: ExplainResponse): string {
  const text = counting.includes(constraint) ? "" : message.replace(/\d+(?:\.\d+)?(?: [KMGT]?i?B)?/g, "#");
  return `${constraint} ${text}`;
}
