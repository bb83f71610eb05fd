import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import type { SolsticeError } from "../core/errors.ts";
import { toConnectError } from "./errors.ts";
import { type NodeResponse, sendJson } from "./node-http.ts";

/** Overrides for {@link refuse}; by default the error's code decides. */
export interface RefusalOptions {
  /** HTTP status, for protocols in which the status is free. */
  readonly status?: number;
  /** Code of the RPC protocols. */
  readonly code?: Code;
}

/** Flags of a gRPC-Web frame that holds trailers, and of the Connect frame that ends a stream. */
const webTrailersFlag = 0x80;
const endStreamFlag = 0x02;

/**
 * Refuses a request before its body is read, in the protocol of the request, so that the code, the sentence
 * and the remedy reach every kind of client.
 */
export function refuse(response: NodeResponse, error: SolsticeError, options: RefusalOptions = {}): void {
  const refusal = toConnectError(error, options.code);
  const contentType = String(response.req.headers["content-type"] ?? "").toLowerCase();
  if (/^application\/grpc-web(\+|$)/.test(contentType)) refuseWeb(response, refusal, contentType);
  else if (/^application\/grpc(\+|$)/.test(contentType)) refuseGrpc(response, refusal, contentType);
  else if (/^application\/connect\+/.test(contentType)) refuseStream(response, refusal, contentType);
  else refuseAsJson(response, refusal, options.status);
}

/**
 * Sends a refusal as plain JSON in any protocol: a Connect error, which gRPC clients read by its HTTP status.
 */
export function refuseAsJson(response: NodeResponse, refusal: ConnectError, status?: number): void {
  refusal.metadata.forEach((value, name) => {
    response.setHeader(name, value);
  });
  sendJson(response, status ?? codeToHttpStatus(refusal.code), toBody(refusal));
}

/** Sends headers and no body, which gRPC calls "Trailers-Only". */
function refuseGrpc(response: NodeResponse, refusal: ConnectError, contentType: string): void {
  begin(response, contentType);
  for (const [name, value] of Object.entries(toTrailers(refusal))) response.setHeader(name, value);
  response.end();
}

function refuseWeb(response: NodeResponse, refusal: ConnectError, contentType: string): void {
  const lines = Object.entries(toTrailers(refusal)).map(([name, value]) => `${name}: ${value}\r\n`);
  begin(response, contentType);
  sendFrame(response, webTrailersFlag, lines.join(""));
}

function refuseStream(response: NodeResponse, refusal: ConnectError, contentType: string): void {
  const metadata = Object.fromEntries([...refusal.metadata].map(([name, value]) => [name, [value]]));
  begin(response, contentType);
  sendFrame(response, endStreamFlag, JSON.stringify({ error: toBody(refusal), metadata }));
}

function begin(response: NodeResponse, contentType: string): void {
  response.statusCode = 200;
  response.setHeader("content-type", contentType);
  // An unread body would keep an HTTP/2 stream open.
  response.req.resume();
}

/** Sends one frame: the flag, the length in 4 bytes, the text. */
function sendFrame(response: NodeResponse, flag: number, text: string): void {
  const body = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.writeUInt8(flag);
  head.writeUInt32BE(body.length, 1);
  const frame = Buffer.concat([head, body]);
  response.setHeader("content-length", frame.length);
  // The two classes type `end` differently, but both accept bytes.
  (response.end as (bytes: Buffer) => void).call(response, frame);
}

function toTrailers(refusal: ConnectError): Record<string, string> {
  return {
    "grpc-status": String(refusal.code),
    "grpc-message": encodeURIComponent(refusal.rawMessage).replaceAll("%20", " "),
    ...Object.fromEntries(refusal.metadata),
  };
}

function toBody(refusal: ConnectError): { code: string; message: string } {
  return { code: connectCodeName(refusal.code), message: refusal.rawMessage };
}

/** Converts `FailedPrecondition` to `failed_precondition`, as on the wire. */
function connectCodeName(code: Code): string {
  return Code[code].replace(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
