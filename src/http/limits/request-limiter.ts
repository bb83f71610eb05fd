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

/** Bounds that hold for each request of a server, whatever its protocol. */
export interface RequestLimits {
  /** Requests that may be in progress at a time; one more is answered with 429. Streams count as long as they are open. */
  readonly maxInFlight: number;
  /** How many of them may be from one address that is not shared. */
  readonly maxInFlightPerAddress: number;
  /** Whether many callers have an address in common. */
  readonly isSharedAddress: (address: string) => boolean;
  /** How long the whole body of a request may take to arrive. */
  readonly bodyTimeoutMs: number;
  /** The paths of calls whose body may come for as long as the call lasts: their handlers have bounds of their own. */
  readonly longBodies?: readonly string[];
  /** How long an answer may make no progress because its reader does not read. */
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

/** How many times within each timeout the requests are looked at. */
const sweepsPerTimeout = 4;

/**
 * Bounds what callers can hold on to. Node bounds the body time of HTTP/1.1 only, and the reading speed of neither
 * protocol: a follower that stops reading would keep its stream, its slot and its buffer for ever.
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

function refuseBusy(response: NodeResponse, who: "The server has" | "Your address has"): void {
  refuse(
    response,
    new SolsticeError("limit_exceeded", `${who} as many calls open as are allowed.`, {
      remedy: "Call again when one has been answered.",
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

/** Bytes handed to the response that have not left this process: nearly none, unless its reader is slow. */
function unsentBytes(response: NodeResponse): number {
  if ("stream" in response) return response.stream?.writableLength ?? 0;
  return response.writableLength;
}
