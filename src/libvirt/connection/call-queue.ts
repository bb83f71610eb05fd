import { LibvirtConnectionError } from "../errors.ts";
import type { Procedure } from "../wire/procedures.ts";

/**
 * Calls under way at once on one connection. libvirtd works on 5 per client (`max_client_requests`) and reads
 * no more until one is done: measured, a list behind 7 starts waited 3 s.
 */
export const MAX_CALLS_IN_FLIGHT = 4;
/** Calls that may wait for their turn on one connection. */
export const MAX_CALLS_WAITING = 1024;

/** What the queue needs of a connection. */
export interface CallTarget {
  call<Args, Reply>(procedure: Procedure<Args, Reply>, args: Args): Promise<Reply>;
  close(error: LibvirtConnectionError): void;
}

interface QueuedCall {
  procedureName: string;
  send(target: CallTarget): Promise<void>;
  reject(error: Error): void;
  sent: boolean;
  expired: boolean;
  timer: NodeJS.Timeout;
}

/**
 * Calls in order, a few at a time, each with its own deadline. A call waits here while there is no connection, and is
 * rejected when the connection that it was sent on ends: whether the server carried it out is then unknown.
 */
export class CallQueue {
  readonly #waiting = new Set<QueuedCall>();
  readonly #deadlineSeconds: number;
  #target: CallTarget | undefined;
  #inFlight = new Set<QueuedCall>();
  #closeError: LibvirtConnectionError | undefined;

  constructor(deadlineSeconds: number) {
    this.#deadlineSeconds = deadlineSeconds;
  }

  /** Sends from now on over `target`, beginning with what waits. */
  attach(target: CallTarget): void {
    this.#target = target;
    this.#inFlight = new Set();
    this.#sendNext();
  }

  /** The connection is gone. Calls not yet sent go on waiting for the next one. */
  detach(): void {
    this.#target = undefined;
  }

  /** Queues one call. */
  call<Args, Reply>(procedure: Procedure<Args, Reply>, args: Args): Promise<Reply> {
    if (this.#closeError) return Promise.reject(this.#closeError);
    if (this.#waiting.size >= MAX_CALLS_WAITING) return Promise.reject(overloadedError(procedure.name));
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const call: QueuedCall = {
      procedureName: procedure.name,
      send: (target) => target.call(procedure, args).then(resolve, reject),
      reject,
      sent: false,
      expired: false,
      timer: setTimeout(() => this.#expire(call), this.#deadlineSeconds * 1000),
    };
    this.#waiting.add(call);
    this.#sendNext();
    return promise;
  }

  /** Rejects every waiting call, and every later one, with `error`. */
  close(error: LibvirtConnectionError): void {
    this.#closeError = error;
    this.#target = undefined;
    for (const call of this.#waiting) {
      clearTimeout(call.timer);
      call.reject(error);
    }
    this.#waiting.clear();
  }

  #sendNext(): void {
    for (const call of this.#waiting) {
      if (!this.#target || this.#inFlight.size >= MAX_CALLS_IN_FLIGHT) return;
      this.#waiting.delete(call);
      this.#send(call, this.#target);
    }
  }

  async #send(call: QueuedCall, target: CallTarget): Promise<void> {
    this.#inFlight.add(call);
    call.sent = true;
    await call.send(target);
    clearTimeout(call.timer);
    if (this.#target !== target) return;
    this.#inFlight.delete(call);
    this.#sendNext();
  }

  #expire(call: QueuedCall): void {
    call.expired = true;
    call.reject(timeoutError(call, this.#deadlineSeconds));
    if (this.#waiting.delete(call)) return;
    // The server still works on it, so its place stays taken until the late answer comes. When every place is taken
    // like that, only a new connection lets other calls through.
    const stuck =
      this.#inFlight.size >= MAX_CALLS_IN_FLIGHT && [...this.#inFlight].every((one) => one.expired);
    if (stuck) this.#target?.close(stuckError());
  }
}

function timeoutError(call: QueuedCall, seconds: number): LibvirtConnectionError {
  const what = call.sent ? "was not answered" : "could not be sent";
  return new LibvirtConnectionError(
    "timeout",
    `The call ${call.procedureName} ${what} within ${seconds} s.`,
    {
      mayHaveRun: call.sent,
    },
  );
}

function overloadedError(procedureName: string): LibvirtConnectionError {
  const text = `The call ${procedureName} was refused: ${MAX_CALLS_WAITING} calls are waiting already.`;
  return new LibvirtConnectionError("overloaded", text);
}

function stuckError(): LibvirtConnectionError {
  const text = `${MAX_CALLS_IN_FLIGHT} calls were not answered in time; the connection was given up.`;
  return new LibvirtConnectionError("lost", text, { mayHaveRun: true });
}
