import { LibvirtConnectionError } from "../errors.ts";
import type { Procedure } from "../wire/procedures.ts";

/**
 * Number of in-flight calls on one connection. libvirtd works on 5 per client (`max_client_requests`) and reads no more
 * until one is done: measured, a list behind 7 starts waited 3 s.
 */
export const MAX_CALLS_IN_FLIGHT = 4;
/** Number of calls that may wait on one connection. */
export const MAX_CALLS_WAITING = 1024;

/** The connection, as the queue uses it. */
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
 * A queue of calls in order, a few in flight at once, each with its own deadline. A call waits here while there is no
 * connection. It is rejected when its connection ends after it was sent: it is then unknown whether the server executed
 * it.
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

  /** Sends calls over `target` from now on, beginning with the waiting ones. */
  attach(target: CallTarget): void {
    this.#target = target;
    this.#inFlight = new Set();
    this.#sendNext();
  }

  /** Removes a lost connection. Unsent calls wait for the next one. */
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

  /** Rejects every waiting call, and every later call, with `error`. */
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
    // The server still works on a timed-out call, so the call stays in flight until the late answer. When all in-flight
    // calls are timed out, only a new connection can send other calls.
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
  const text = `The call ${procedureName} was refused: ${MAX_CALLS_WAITING} calls are already waiting.`;
  return new LibvirtConnectionError("overloaded", text);
}

function stuckError(): LibvirtConnectionError {
  const text = `${MAX_CALLS_IN_FLIGHT} calls timed out; the connection was closed.`;
  return new LibvirtConnectionError("lost", text, { mayHaveRun: true });
}
