import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, errorCodes, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import type { Job, RejectedMessage } from "../../gen/solstice/v1/jobs_pb.ts";
import { type ApiRetryOptions, askPatiently } from "../api/api-retry.ts";
import type { ApiSession } from "../api/api-session.ts";
import type { CliContext } from "../context.ts";
import { createStatusLine, type StatusLine } from "../print/status-line.ts";
import { durationText, oneLine } from "../print/text.ts";

/** How long a published request may wait in the broker until a host has room for it. */
const appearTimeoutMs = 15 * 60_000;

const firstPauseMs = 50;
const longestPauseMs = 2000;

/** After this much silence the person is told what is being waited for. */
const reportAfterMs = 2000;

/** How many of the newest refusals are looked at. */
const refusalsShown = 50;

/** What {@link findPublishedJob} needs besides the request's id. */
export interface FindOptions {
  readonly context: CliContext;
  readonly session: ApiSession;
}

/**
 * The job that a published request became, once a host has taken it. Throws the reason when it was refused instead, and
 * `unavailable` when neither has happened for a long time; the request then still waits.
 */
export async function findPublishedJob(requestId: string, { context, session }: FindOptions): Promise<Job> {
  const line = createStatusLine(context.stderr);
  const apiRetry: ApiRetryOptions = {
    session,
    onLost: (message) => {
      line.clear();
      context.stderr.write(`${message} Waiting for it.\n`);
    },
  };
  const startedAt = performance.now();
  let pauseMs = firstPauseMs;
  try {
    for (;;) {
      const job = await findByRequest(requestId, apiRetry);
      if (job) return job;
      await throwIfRefused(requestId, apiRetry);
      const waitedMs = performance.now() - startedAt;
      if (waitedMs > appearTimeoutMs) throw notTaken(requestId);
      if (waitedMs > reportAfterMs) await showWaiting(requestId, { context, line, apiRetry, waitedMs });
      await sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  } finally {
    line.clear();
  }
}

/** Shows that the request waits in the broker, and which hosts cannot take it now. */
async function showWaiting(
  requestId: string,
  showing: {
    readonly context: CliContext;
    readonly line: StatusLine;
    readonly apiRetry: ApiRetryOptions;
    readonly waitedMs: number;
  },
): Promise<void> {
  const { context, line, apiRetry, waitedMs } = showing;
  const { hosts } = await askPatiently(apiRetry, (client, call) => client.capacity({}, call));
  const away = hosts
    .filter(({ state }) => state !== "serving")
    .map(({ hostId, state, message }) => ` Host ${hostId} is ${state}${message ? `: ${message}` : "."}`);
  const time = context.stderr.isTTY ? ` (${durationText(waitedMs)})` : "";
  const reason = oneLine(away.join(""));
  line.show(
    `Request ${requestId} is in RabbitMQ; no orchestrator has taken it yet${time}.${reason} Waiting.`,
    reason,
  );
}

async function findByRequest(requestId: string, apiRetry: ApiRetryOptions): Promise<Job | null> {
  try {
    const { job } = await askPatiently(apiRetry, (client, call) => client.get({ jobId: requestId }, call));
    return job ?? null;
  } catch (error) {
    if (isSolsticeError(error, "not_found")) return null;
    throw error;
  }
}

async function throwIfRefused(requestId: string, apiRetry: ApiRetryOptions): Promise<void> {
  const { messages } = await askPatiently(apiRetry, (client, call) =>
    client.listRejected({ limit: refusalsShown }, call),
  );
  const refused = messages.find((message) => message.requestId === requestId);
  if (refused) throw refusal(requestId, refused);
}

function refusal(requestId: string, { reason, message, hostId }: RejectedMessage): SolsticeError {
  const code: ErrorCode = errorCodes.find((known) => known === reason) ?? "usage";
  const text = `The request ${requestId} was refused by ${oneLine(hostId)}: ${oneLine(message)}`;
  return new SolsticeError(code, text, {
    remedy: "Correct it and send it with a new id. See also: solstice jobs --rejected",
  });
}

function notTaken(requestId: string): SolsticeError {
  return new SolsticeError(
    "unavailable",
    `No orchestrator has taken the request ${requestId} for ${appearTimeoutMs / 60_000} minutes; it still waits in RabbitMQ.`,
    {
      remedy: `Once one has: solstice logs -f ${requestId}. Why none does: solstice capacity, and their logs.`,
    },
  );
}
