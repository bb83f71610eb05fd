import { setTimeout as sleep } from "node:timers/promises";
import type { CallOptions } from "@connectrpc/connect";
import { backoffMs } from "../../core/backoff.ts";
import { SolsticeError } from "../../core/errors.ts";
import { oneLine } from "../print/text.ts";
import { fromApiError, isNotOurs } from "./api-error.ts";
import type { ApiSession, JobClient } from "./api-session.ts";
import { isExpectedEnd } from "./api-streams.ts";

/** Longest time to retry an API that cannot be reached, in ms. An orchestrator restarts within seconds. */
export const apiRetryMs = 120_000;

const backoff = { firstMs: 100, maxMs: 3000 };

/** Retries with backoff while the API cannot be reached. */
export interface ApiRetry {
  /** Restarts the time limit and the backoff, after a message arrived. */
  reset(): void;
  /** Pauses after an error and finds the API again. Throws errors that a retry cannot repair. */
  waitAfter(error: unknown): Promise<void>;
}

/** Options of {@link createApiRetry}. */
export interface ApiRetryOptions {
  readonly session: ApiSession;
  /** Called once for each outage of the API. */
  readonly onLost?: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A retry that gives up {@link apiRetryMs} after the start of an outage. */
export function createApiRetry({ session, onLost, signal }: ApiRetryOptions): ApiRetry {
  let hasMessage = false;
  let lostAt: number | null = null;
  let failures = 0;
  return {
    reset() {
      hasMessage = true;
      lostAt = null;
      failures = 0;
    },
    async waitAfter(error) {
      signal?.throwIfAborted();
      const wasAlive = hasMessage;
      hasMessage = false;
      if (wasAlive && isExpectedEnd(error)) return;
      const apiError = fromApiError(error, session.apiUrl);
      if (apiError.code !== "unavailable" && apiError.code !== "store_failed") throw apiError;
      if (!wasAlive && lostAt === null && isNotOurs(apiError)) throw apiError;
      if (lostAt === null) onLost?.(oneLine(apiError.message));
      lostAt ??= performance.now();
      if (performance.now() - lostAt > apiRetryMs) throw apiError;
      failures += 1;
      await sleep(backoffMs(failures, backoff), undefined, { signal });
      await session.refresh();
    },
  };
}

/** Repeats a call until the API answers or the retry gives up. Only for calls that are idempotent. */
export async function callWithRetry<Answer>(
  options: ApiRetryOptions,
  send: (client: JobClient, options: CallOptions) => Promise<Answer>,
): Promise<Answer> {
  const apiRetry = createApiRetry(options);
  for (;;) {
    try {
      return await options.session.call(send);
    } catch (error) {
      await apiRetry.waitAfter(error);
    }
  }
}

/** The error for a stream that the server closed without an error before its end: the server is shutting down. */
export function endedEarly(): SolsticeError {
  return new SolsticeError(
    "unavailable",
    "The API ended the stream: the orchestrator is stopping or restarting.",
  );
}
