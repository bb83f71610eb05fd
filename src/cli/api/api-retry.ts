import { setTimeout as sleep } from "node:timers/promises";
import type { CallOptions } from "@connectrpc/connect";
import { SolsticeError } from "../../core/errors.ts";
import { oneLine } from "../print/text.ts";
import { fromApiError, isNotOurs } from "./api-error.ts";
import type { ApiSession, JobClient } from "./api-session.ts";
import { isExpectedEnd } from "./api-streams.ts";

/** How long a follower bears with an API that cannot be reached: an orchestrator that restarts takes seconds. */
export const apiRetryMs = 120_000;

const firstPauseMs = 100;
const longestPauseMs = 3000;

/** Bears with an API that goes away and comes back. */
export interface ApiRetry {
  /** Something arrived: the time runs again. */
  reset(): void;
  /** After an error: waits and looks for the API again, or throws what cannot be waited out. */
  waitAfter(error: unknown): Promise<void>;
}

/** What a follower is patient with. */
export interface ApiRetryOptions {
  readonly session: ApiSession;
  /** Told once for each time the API goes away. */
  readonly onLost?: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Patience of {@link apiRetryMs} from the last sign of life. */
export function createApiRetry({ session, onLost, signal }: ApiRetryOptions): ApiRetry {
  let heard = false;
  let lostAt: number | null = null;
  let pauseMs = firstPauseMs;
  return {
    reset() {
      heard = true;
      lostAt = null;
      pauseMs = firstPauseMs;
    },
    async waitAfter(error) {
      signal?.throwIfAborted();
      const wasAlive = heard;
      heard = false;
      if (wasAlive && isExpectedEnd(error)) return;
      const known = fromApiError(error, session.apiUrl);
      if (known.code !== "unavailable" && known.code !== "store_failed") throw known;
      if (!wasAlive && lostAt === null && isNotOurs(known)) throw known;
      if (lostAt === null) onLost?.(oneLine(known.message));
      lostAt ??= performance.now();
      if (performance.now() - lostAt > apiRetryMs) throw known;
      await sleep(pauseMs, undefined, { signal });
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
      await session.refresh();
    },
  };
}

/** Asks one question until it is answered or patience ends. Only for questions that may be asked twice. */
export async function askPatiently<Answer>(
  options: ApiRetryOptions,
  question: (client: JobClient, call: CallOptions) => Promise<Answer>,
): Promise<Answer> {
  const apiRetry = createApiRetry(options);
  for (;;) {
    try {
      return await options.session.ask(question);
    } catch (error) {
      await apiRetry.waitAfter(error);
    }
  }
}

/** The error for a stream that ended in good order before it was due: the server is shutting down. */
export function endedEarly(): SolsticeError {
  return new SolsticeError(
    "unavailable",
    "The API ended the stream: the orchestrator is stopping or restarting.",
  );
}
