import { randomUUID } from "node:crypto";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { type ErrorCode, isSolsticeError, SolsticeError } from "../core/errors.ts";
import type { ApiLog } from "./log.ts";
import { unreadableError } from "./unreadable.ts";

/** Header (or trailer) that carries our {@link ErrorCode} beside the protocol's own, coarser code. */
const errorCodeHeader = "solstice-error-code";

/** Header that carries what to do about the error. Percent-encoded: decode with `decodeURIComponent`. */
export const remedyHeader = "solstice-remedy";

/** Each of our codes as the RPC protocols say it. Exhaustive, so that a new code must decide. */
const connectCodes: Readonly<Record<ErrorCode, Code>> = {
  usage: Code.InvalidArgument,
  config_invalid: Code.FailedPrecondition,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  unknown_label: Code.InvalidArgument,
  image_unavailable: Code.FailedPrecondition,
  image_download_failed: Code.Unavailable,
  image_invalid: Code.FailedPrecondition,
  // It passes once there is space: a guest that is told so keeps what it has, and does not take it for a refusal.
  disk_full: Code.Unavailable,
  locked: Code.Unavailable,
  host_missing_tool: Code.FailedPrecondition,
  hypervisor_unavailable: Code.Unavailable,
  hypervisor_failed: Code.Internal,
  network_missing: Code.FailedPrecondition,
  guest_refused: Code.Unauthenticated,
  unauthenticated: Code.Unauthenticated,
  conflict: Code.FailedPrecondition,
  limit_exceeded: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  store_failed: Code.Unavailable,
  broker_unavailable: Code.Unavailable,
  unroutable: Code.FailedPrecondition,
  internal: Code.Internal,
};

/**
 * Converts our error for the wire: protocol code, sentence, and in headers our code and the remedy. `code` is the
 * protocol's, where it is not what ours stands for.
 */
export function toConnectError(error: SolsticeError, code: Code = connectCodes[error.code]): ConnectError {
  const headers: Record<string, string> = { [errorCodeHeader]: error.code };
  if (error.remedy !== undefined) headers[remedyHeader] = encodeHeader(error.remedy);
  return new ConnectError(error.message, code, headers, undefined, error);
}

/** Header values are ASCII; only what is not gets encoded, so that `curl -v` stays readable. */
function encodeHeader(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent);
}

/**
 * Makes every error a handler throws fit for the caller: ours are translated, those of the protocol pass, and anything
 * else is logged under an id with its cause while the caller learns only the id.
 */
export function errorInterceptor(log: ApiLog): Interceptor {
  return (next) => async (request) => {
    const { signal, method } = request;
    const convert = (error: unknown) => presentable(error, { log, method: method.name, signal });
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: convertErrors(response.message, convert) } : response;
    } catch (error) {
      throw convert(error);
    }
  };
}

async function* convertErrors<T>(messages: AsyncIterable<T>, convert: (error: unknown) => unknown) {
  try {
    yield* messages;
  } catch (error) {
    throw convert(error);
  }
}

interface CallContext {
  readonly log: ApiLog;
  readonly method: string;
  readonly signal: AbortSignal;
}

/** Whether a call failed only because it was aborted: its caller went away, or its time was over. */
function isAbort(error: unknown, { signal }: CallContext): boolean {
  if (!signal.aborted) return false;
  if (error === signal.reason) return true;
  const { name, code } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  return name === "AbortError" || code === "ECONNRESET" || code === "ERR_STREAM_PREMATURE_CLOSE";
}

function presentable(error: unknown, context: CallContext): ConnectError {
  const unreadable = unreadableError(error);
  if (unreadable !== null) return toConnectError(unreadable);
  if (error instanceof ConnectError) return error;
  if (isSolsticeError(error) && error.code !== "internal") return toConnectError(error);
  if (isAbort(error, context)) {
    context.log.debug({ err: error, method: context.method }, "The caller went away before the answer.");
    return new ConnectError("The call was aborted.", Code.Canceled, undefined, undefined, error);
  }
  const errorId = randomUUID();
  context.log.error({ err: error, errorId, method: context.method }, "A call failed unexpectedly.");
  return toConnectError(
    new SolsticeError("internal", `The call failed unexpectedly (error id ${errorId}).`, {
      remedy: "The orchestrator's log has the details under this id; please report them.",
    }),
  );
}
