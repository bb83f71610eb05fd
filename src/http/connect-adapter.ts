import { Code, ConnectError, type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { SolsticeError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { JsonBounds } from "../core/text/json-bounds.ts";
import { errorInterceptor, toConnectError } from "./errors.ts";
import { boundJson } from "./limits/bound-json.ts";
import { closeExchange, type NodeHandler, type NodeRequest, type NodeResponse, pathOf } from "./node-http.ts";
import { refuse, refuseAsJson } from "./refusal.ts";
import { findUnreadable, type UniversalResponse } from "./unreadable.ts";

/** The dependencies of {@link createConnectHandler}. */
export interface ConnectHandlerOptions {
  readonly routes: (router: ConnectRouter) => void;
  readonly log: Log;
  /** Largest message accepted, in bytes, before and after decompression. */
  readonly readMaxBytes: number;
  /** Bounds of a message in JSON. */
  readonly jsonBounds: JsonBounds;
  /** Ends all streams when aborted; its reason is the error that their readers receive. */
  readonly shutdownSignal: AbortSignal;
  /** Answers every path that is not an RPC. */
  readonly fallback: NodeHandler;
}

/**
 * Serves RPC routes as gRPC, gRPC-web and Connect.
 *
 * The adapter of connect-node is not used: a malformed `Host` header ends its process (it throws in the
 * request listener), and it prints each reader that disconnected to the console. This adapter refuses the
 * first and logs the second.
 */
export function createConnectHandler(options: ConnectHandlerOptions): NodeHandler {
  const router = createConnectRouter({
    readMaxBytes: options.readMaxBytes,
    acceptCompression: [compressionGzip],
    // Callers are on this host or next to it: compressing answers costs more than it saves.
    compressMinBytes: 0xffff_ffff,
    shutdownSignal: options.shutdownSignal,
    interceptors: [errorInterceptor(options.log)],
  });
  options.routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const handler = handlers.get(pathOf(request));
    if (handler === undefined) return options.fallback(request, response);
    serve(handler, { request, response, options });
  };
}

/** The maximum length of a path in an error, in characters. */
const maxShownPath = 200;

interface Exchange {
  readonly request: NodeRequest;
  readonly response: NodeResponse;
  readonly options: ConnectHandlerOptions;
}

function serve(handler: UniversalHandler, { request, response, options }: Exchange): void {
  const { log } = options;
  let universalRequest: Parameters<UniversalHandler>[0];
  try {
    universalRequest = bounded(
      universalRequestFromNodeRequest(request, response, undefined, undefined),
      options,
    );
  } catch {
    refuse(response, new SolsticeError("usage", "The Host header of the request is missing or malformed."));
    return;
  }
  handler(universalRequest)
    .then((answer) => {
      if (answer.status === 415) return refuseContentType(response);
      if (handler.method.methodKind === "unary") return sendUnary(answer, response);
      return universalResponseToNodeResponse(answer, response);
    })
    .catch((error: unknown) => {
      const { code } = ConnectError.from(error);
      const readerLeft = code === Code.Aborted || code === Code.Canceled || request.destroyed;
      const fields = { err: error, method: handler.method.name };
      if (readerLeft) log.debug(fields, "The caller disconnected before the response was sent.");
      else log.warn(fields, "A response could not be sent.");
      closeExchange(request, response);
    });
}

/** The request; a JSON body is checked against the bounds before it is parsed. */
function bounded(
  request: Parameters<UniversalHandler>[0],
  { jsonBounds, readMaxBytes }: ConnectHandlerOptions,
): Parameters<UniversalHandler>[0] {
  const { body, header: headers } = request;
  if (!(Symbol.asyncIterator in Object(body))) return request;
  const bytes = body as AsyncIterable<Uint8Array>;
  return {
    ...request,
    body: boundJson({ headers, body: bytes, bounds: jsonBounds, maxBytes: readMaxBytes }),
  };
}

async function sendUnary(answer: UniversalResponse, to: NodeResponse): Promise<void> {
  const { response, refusal } = await findUnreadable(answer);
  if (refusal === null) await universalResponseToNodeResponse(response, to);
  else refuse(to, refusal);
}

/** Answers in plain JSON, because the caller's protocol is unknown here. */
function refuseContentType(response: NodeResponse): void {
  const error = new SolsticeError("usage", "This method does not accept the Content-Type of the request.", {
    remedy:
      "Send application/json, application/proto, application/grpc or application/grpc-web+proto; for a stream application/connect+json or application/connect+proto.",
  });
  refuseAsJson(response, toConnectError(error), 415);
}

/** Answers a call of a method that does not exist. */
export function refuseUnknownMethod(request: NodeRequest, response: NodeResponse): void {
  const method = pathOf(request).slice(0, maxShownPath);
  const error = new SolsticeError("not_found", `There is no method ${JSON.stringify(method)}.`, {
    remedy: "Compare the caller's version with the orchestrator's; proto/solstice/v1 has the methods.",
  });
  refuse(response, error, { status: 404, code: Code.Unimplemented });
}
