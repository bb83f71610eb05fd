import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";

/** How long one stream may last. Then it is opened anew, so that a host that vanished silently is noticed. */
const streamTimeoutMs = 600_000;

/** The options of a call that streams. */
export function streamOptions(signal?: AbortSignal): CallOptions {
  return { timeoutMs: streamTimeoutMs, ...(signal && { signal }) };
}

/** True when a stream ended because it lasted {@link streamTimeoutMs}: no failure, it is opened again at once. */
export function isExpectedEnd(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.DeadlineExceeded;
}
