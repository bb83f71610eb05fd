import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SolsticeError } from "../../core/errors.ts";
import { closeExchange, type NodeRequest, type NodeResponse } from "../../http/node-http.ts";
import { refuse } from "../../http/refusal.ts";

/** A blob to serve. */
export interface ServedBlob {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly read: (offset: number) => Promise<Readable | null>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The headers with the length and the SHA-256 (hex) of the whole blob. */
const blobSizeHeader = "solstice-size";
const blobDigestHeader = "solstice-sha256";

/**
 * Answers a GET or HEAD with a blob, from `?offset=N` or a `Range: bytes=N-`. Streams the blob without
 * holding it in memory. Throws only before the first byte is sent.
 */
export async function sendBlob(
  exchange: { readonly request: NodeRequest; readonly response: NodeResponse },
  blob: ServedBlob,
): Promise<void> {
  const { request, response } = exchange;
  const range = parseRange(request);
  const offset = range ?? 0;
  if (offset > blob.sizeBytes) {
    response.setHeader("content-range", `bytes */${blob.sizeBytes}`);
    const text = `The file has ${blob.sizeBytes} bytes; offset ${offset} is beyond its end.`;
    return refuse(response, new SolsticeError("usage", text), { status: 416 });
  }
  const isPartial = request.headers.range !== undefined && range !== null && blob.sizeBytes > 0;
  const source = request.method === "HEAD" ? null : await blob.read(offset);
  if (source === null && request.method !== "HEAD") {
    throw new SolsticeError("not_found", "The file no longer exists.");
  }
  response.statusCode = isPartial ? 206 : 200;
  const headers: Record<string, string> = {
    "content-type": "application/octet-stream",
    "content-length": String(blob.sizeBytes - offset),
    "accept-ranges": "bytes",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    [blobSizeHeader]: String(blob.sizeBytes),
    [blobDigestHeader]: blob.sha256,
    ...(isPartial && { "content-range": `bytes ${offset}-${blob.sizeBytes - 1}/${blob.sizeBytes}` }),
    ...blob.headers,
  };
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  request.resume();
  if (source === null) return void (response as { end(): void }).end();
  await pipeline(source, response as NodeJS.WritableStream).catch((error: unknown) => {
    closeExchange(request, response);
    throw error;
  });
}

/**
 * The requested offset; null when the request has none, or has another form of range, which only media
 * players use.
 */
function parseRange(request: NodeRequest): number | null {
  const range = /^bytes=(\d{1,15})-$/.exec(request.headers.range ?? "")?.[1];
  const text = range ?? new URLSearchParams(request.url?.split("?")[1] ?? "").get("offset");
  if (text === null) return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new SolsticeError("usage", "offset must be a number of bytes.");
}
