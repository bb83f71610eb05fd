import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";

/** Time limit of one stream, in ms. The stream is then opened again, so that a host that vanished silently is detected. */
const streamTimeoutMs = 600_000;

/**
 * Reads one stream for {@link streamTimeoutMs} at most, and closes the stream when its reader stops early. The client's own
 * `timeoutMs` would keep the connection, and the process, until the deadline.
 */
export async function* readStream<Message>(
  open: (options: CallOptions) => AsyncIterable<Message>,
  signal?: AbortSignal,
): AsyncGenerator<Message> {
  const end = new AbortController();
  const isOver = new ConnectError("The stream reached its time limit.", Code.DeadlineExceeded);
  const timer = setTimeout(() => end.abort(isOver), streamTimeoutMs);
  try {
    yield* open({ signal: signal ? AbortSignal.any([signal, end.signal]) : end.signal });
  } finally {
    clearTimeout(timer);
    end.abort();
  }
}

/** True when a stream reached {@link streamTimeoutMs}. That is no failure: the caller opens the stream again at once. */
export function isExpectedEnd(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.DeadlineExceeded;
}
