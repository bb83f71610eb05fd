import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";

/** How long one stream may last. Then it is opened again, so that a host that vanished silently is noticed. */
const streamTimeoutMs = 600_000;

/**
 * Reads one stream for as long as it may last, and closes it when its reader stops early. The client's own `timeoutMs` would
 * keep the connection, and the process, until the deadline.
 */
export async function* readStream<Message>(
  open: (options: CallOptions) => AsyncIterable<Message>,
  signal?: AbortSignal,
): AsyncGenerator<Message> {
  const end = new AbortController();
  const isOver = new ConnectError("The stream lasted long enough.", Code.DeadlineExceeded);
  const timer = setTimeout(() => end.abort(isOver), streamTimeoutMs);
  try {
    yield* open({ signal: signal ? AbortSignal.any([signal, end.signal]) : end.signal });
  } finally {
    clearTimeout(timer);
    end.abort();
  }
}

/** True when a stream ended because it lasted {@link streamTimeoutMs}: no failure, it is opened again at once. */
export function isExpectedEnd(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.DeadlineExceeded;
}
