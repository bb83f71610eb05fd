import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../../core/backoff.ts";
import { type ErrorCode, errorCodes, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import type { Job, RejectedMessage } from "../../gen/solstice/v1/jobs_pb.ts";
import { type ApiRetryOptions, callWithRetry } from "../api/api-retry.ts";
import type { ApiSession } from "../api/api-session.ts";
import type { CliContext } from "../context.ts";
import { createStatusLine, type StatusLine } from "../print/status-line.ts";
import { durationText, oneLine } from "../print/text.ts";

/** Longest wait in the broker until a host has a free slot for a published request. */
const appearTimeoutMs = 15 * 60_000;

const lookPauses = { firstMs: 50, maxMs: 2000 };

/** Time without a result before the command shows that it waits. */
const reportAfterMs = 2000;

/** Number of newest rejected messages to search. */
const rejectedMax = 50;

/** Options of {@link findPublishedJob}. */
export interface FindOptions {
  readonly context: CliContext;
  readonly session: ApiSession;
}

/**
 * Waits until a host has taken a published request, and returns its job. Throws the reason if the request was rejected, and
 * `unavailable` after {@link appearTimeoutMs}; the request then still waits.
 */
export async function findPublishedJob(requestId: string, { context, session }: FindOptions): Promise<Job> {
  const line = createStatusLine(context.stderr);
  const apiRetry: ApiRetryOptions = {
    session,
    onLost: (message) => {
      line.clear();
      context.stderr.write(`${message} Retrying.\n`);
    },
  };
  const startedAt = performance.now();
  try {
    for (let looks = 1; ; looks += 1) {
      const job = await findByRequest(requestId, apiRetry);
      if (job) return job;
      await throwIfRejected(requestId, apiRetry);
      const waitedMs = performance.now() - startedAt;
      if (waitedMs > appearTimeoutMs) throw notTaken(requestId);
      if (waitedMs > reportAfterMs) await showWaiting(requestId, { context, line, apiRetry, waitedMs });
      await sleep(backoffMs(looks, lookPauses));
    }
  } finally {
    line.clear();
  }
}

/** Shows that the request waits in the broker, and the hosts that cannot take it now. */
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
  const { hosts } = await callWithRetry(apiRetry, (client, call) => client.capacity({}, call));
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
    const { job } = await callWithRetry(apiRetry, (client, call) => client.get({ jobId: requestId }, call));
    return job ?? null;
  } catch (error) {
    if (isSolsticeError(error, "not_found")) return null;
    throw error;
  }
}

async function throwIfRejected(requestId: string, apiRetry: ApiRetryOptions): Promise<void> {
  const { messages } = await callWithRetry(apiRetry, (client, call) =>
    client.listRejected({ limit: rejectedMax }, call),
  );
  const rejected = messages.find((message) => message.requestId === requestId);
  if (rejected) throw rejection(requestId, rejected);
}

function rejection(requestId: string, { reason, message, hostId }: RejectedMessage): SolsticeError {
  const code: ErrorCode = errorCodes.find((each) => each === reason) ?? "usage";
  const text = `The request ${requestId} was rejected by host ${oneLine(hostId)}: ${oneLine(message)}`;
  return new SolsticeError(code, text, {
    remedy: "Correct the request and send it with a new id. See also: solstice jobs --rejected",
  });
}

function notTaken(requestId: string): SolsticeError {
  return new SolsticeError(
    "unavailable",
    `No orchestrator has taken the request ${requestId} for ${appearTimeoutMs / 60_000} minutes; it still waits in RabbitMQ.`,
    {
      remedy: `See the log later with: solstice logs -f ${requestId}. For the cause see solstice capacity and the logs of the orchestrators.`,
    },
  );
}
