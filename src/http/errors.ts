import { randomUUID } from "node:crypto";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { type ErrorCode, isSolsticeError, SolsticeError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { unreadableError } from "./unreadable.ts";

/**
 * Header (or trailer) that carries our {@link ErrorCode} next to the protocol's own code, which is less
 * exact.
 */
const errorCodeHeader = "solstice-error-code";

/** Header that carries the remedy of an error. Percent-encoded: decode with `decodeURIComponent`. */
export const remedyHeader = "solstice-remedy";

/** The RPC code for each of our codes. Exhaustive, so that a new code needs a decision. */
const connectCodes: Readonly<Record<ErrorCode, Code>> = {
  usage: Code.InvalidArgument,
  config_invalid: Code.FailedPrecondition,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  unknown_label: Code.InvalidArgument,
  image_unavailable: Code.FailedPrecondition,
  image_download_failed: Code.Unavailable,
  image_invalid: Code.FailedPrecondition,
  // Temporary: a guest that receives this code keeps its data and retries, and does not treat it as a
  // refusal.
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
 * Converts our error for the wire: protocol code, sentence, and headers with our code and the remedy. `code`
 * replaces the protocol code that our code maps to.
 */
export function toConnectError(error: SolsticeError, code: Code = connectCodes[error.code]): ConnectError {
  const headers: Record<string, string> = { [errorCodeHeader]: error.code };
  if (error.remedy !== undefined) headers[remedyHeader] = encodeHeader(error.remedy);
  return new ConnectError(error.message, code, headers, undefined, error);
}

/** Percent-encodes only the characters that are not ASCII, so that `curl -v` stays readable. */
function encodeHeader(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent);
}

/**
 * Converts every error that a handler throws for the caller: our errors are translated, errors of the
 * protocol pass through, and all others are logged with their cause under an id; the caller receives only the
 * id.
 */
export function errorInterceptor(log: Log): Interceptor {
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
  readonly log: Log;
  readonly method: string;
  readonly signal: AbortSignal;
}

/** True when a call failed only because it was aborted: the caller disconnected, or the time limit passed. */
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
    context.log.debug({ err: error, method: context.method }, "The caller disconnected before the response.");
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
