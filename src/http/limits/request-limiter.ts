import { SolsticeError } from "../../core/errors.ts";
import {
  closeExchange,
  type NodeHandler,
  type NodeRequest,
  type NodeResponse,
  pathOf,
} from "../node-http.ts";
import { refuse } from "../refusal.ts";
import { AddressCounts } from "./address-counts.ts";

/** Limits for each request of a server, in any protocol. */
export interface RequestLimits {
  /** Requests in flight at the same time; one more is refused with 429. A stream counts until it closes. */
  readonly maxInFlight: number;
  /** Requests in flight from one address that is not shared. */
  readonly maxInFlightPerAddress: number;
  /** True when many callers share the address. */
  readonly isSharedAddress: (address: string) => boolean;
  /** Maximum time until the whole body of a request has arrived. */
  readonly bodyTimeoutMs: number;
  /**
   * Paths of calls whose body may arrive for as long as the call lasts: their handlers have their own limits.
   */
  readonly longBodies?: readonly string[];
  /** Maximum time that a response may make no progress because its reader does not read. */
  readonly stallTimeoutMs: number;
}

interface InFlight {
  readonly request: NodeRequest;
  readonly response: NodeResponse;
  readonly startedAt: number;
  readonly isLong: boolean;
  progressAt: number;
}

/** A guard around a handler; `stop` ends its timer. */
export interface RequestLimiter {
  readonly handler: NodeHandler;
  stop(): void;
}

/** Checks of the requests in flight within each timeout. */
const sweepsPerTimeout = 4;

/**
 * Limits what callers can occupy. Node limits the body time of HTTP/1.1 only, and the reading speed of
 * neither protocol: a follower that stops reading would keep its stream, its slot and its buffer for ever.
 */
export function limitRequests(handler: NodeHandler, limits: RequestLimits): RequestLimiter {
  const inFlight = new Set<InFlight>();
  const perAddress = new AddressCounts(limits.maxInFlightPerAddress, limits.isSharedAddress);
  const sweep = setInterval(
    () => endOverdue(inFlight, limits),
    Math.min(limits.bodyTimeoutMs, limits.stallTimeoutMs) / sweepsPerTimeout,
  ).unref();
  return {
    stop: () => clearInterval(sweep),
    handler(request, response) {
      const address = request.socket.remoteAddress ?? "";
      if (inFlight.size >= limits.maxInFlight) return refuseBusy(response, "The server has");
      if (!perAddress.take(address)) return refuseBusy(response, "Your address has");
      const isLong = limits.longBodies?.includes(pathOf(request)) ?? false;
      const now = performance.now();
      const entry = { request, response, startedAt: now, isLong, progressAt: now };
      inFlight.add(entry);
      response.on("drain", () => {
        entry.progressAt = performance.now();
      });
      response.once("close", () => {
        inFlight.delete(entry);
        perAddress.give(address);
      });
      handler(request, response);
    },
  };
}

function refuseBusy(response: NodeResponse, subject: "The server has" | "Your address has"): void {
  refuse(
    response,
    new SolsticeError("limit_exceeded", `${subject} reached the limit of open calls.`, {
      remedy: "Retry when an earlier call has returned.",
    }),
  );
}

function endOverdue(inFlight: ReadonlySet<InFlight>, limits: RequestLimits): void {
  const now = performance.now();
  for (const entry of inFlight) {
    if (unsentBytes(entry.response) === 0) entry.progressAt = now;
    const bodyOverdue =
      !entry.isLong && !entry.request.complete && now - entry.startedAt > limits.bodyTimeoutMs;
    const stalled = now - entry.progressAt > limits.stallTimeoutMs;
    if (bodyOverdue || stalled) closeExchange(entry.request, entry.response);
  }
}

/** Bytes of the response that have not left this process: almost none, unless the reader is slow. */
function unsentBytes(response: NodeResponse): number {
  if ("stream" in response) return response.stream?.writableLength ?? 0;
  return response.writableLength;
}
