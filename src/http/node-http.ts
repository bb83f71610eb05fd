import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request of HTTP/1.1 or HTTP/2; this folder reads only what both types have. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;

/** A response of HTTP/1.1 or HTTP/2. */
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Answers one HTTP request. */
export type NodeHandler = (request: NodeRequest, response: NodeResponse) => void;

/** The host and port that the caller addressed: `:authority` in HTTP/2, else `Host`. */
export function authorityOf(request: NodeRequest): string | undefined {
  return request.headers[":authority"]?.toString() ?? request.headers.host;
}

/** The path of the request without its query. */
export function pathOf(request: NodeRequest): string {
  return request.url?.split("?", 1)[0] ?? "";
}

/** Sends a complete JSON response. */
export function sendJson(response: NodeResponse, status: number, body: unknown): void {
  sendText(response, { status, contentType: "application/json", body: `${JSON.stringify(body)}\n` });
}

/** Sends a complete text response; never cached, never sniffed. */
export function sendText(
  response: NodeResponse,
  answer: { status: number; contentType: string; body: string },
): void {
  const { status, contentType, body } = answer;
  response.statusCode = status;
  response.setHeader("content-type", contentType);
  response.setHeader("content-length", Buffer.byteLength(body));
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
  // An unread body would keep an HTTP/2 stream open.
  response.req.resume();
  // The two classes type `end` differently, but both accept the body.
  (response as ServerResponse).end(body);
}

/** Ends an exchange at once, with or without a response; in HTTP/2 the connection stays open. */
export function closeExchange(request: NodeRequest, response: NodeResponse): void {
  if ("stream" in request) request.stream.destroy();
  else response.destroy();
}
