import { compressionGzip } from "@connectrpc/connect-node";
import { type JsonBounds, jsonProblem } from "../../core/text/json-bounds.ts";
import { toConnectError } from "../errors.ts";
import { unreadableBecause } from "../unreadable.ts";

/** The body of a call and its bounds, for {@link boundJson}. */
export interface JsonBody {
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
  readonly bounds: JsonBounds;
  /** Largest message, in bytes, before and after decompression. */
  readonly maxBytes: number;
}

/** The headers that name the compression of messages, one for each protocol. */
const encodingHeaders = ["content-encoding", "connect-content-encoding", "grpc-encoding"];

/** Bytes before a message in a stream: the flags and the length. */
const frameHeadBytes = 5;
const compressedFlag = 1;

/**
 * The body of a call whose messages are JSON, each checked before the library parses it, compressed messages
 * included. Other bodies are returned unchanged. Throws `usage` for a message beyond the bounds.
 */
export function boundJson(call: JsonBody): AsyncIterable<Uint8Array> {
  const contentType = (call.headers.get("content-type") ?? "").toLowerCase();
  if (/^application\/(connect|grpc|grpc-web)\+json\b/.test(contentType)) return boundFrames(call);
  return /^application\/json\b/.test(contentType) ? boundWhole(call) : call.body;
}

async function* boundWhole(call: JsonBody): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of call.body) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > call.maxBytes) break;
  }
  // The library refuses a message that is too long, and needs only these bytes to detect it.
  if (length <= call.maxBytes) await refuseBeyond(call, Buffer.concat(chunks), isGzip(call.headers));
  yield* chunks;
}

async function* boundFrames(call: JsonBody): AsyncGenerator<Uint8Array> {
  let pending = Buffer.alloc(0);
  for await (const chunk of call.body) {
    pending = Buffer.concat([pending, chunk]);
    for (let end = endOfFrame(pending); end <= pending.length; end = endOfFrame(pending)) {
      const isCompressed = ((pending[0] ?? 0) & compressedFlag) !== 0;
      const message = pending.subarray(frameHeadBytes, end);
      if (!isCompressed || isGzip(call.headers)) await refuseBeyond(call, message, isCompressed);
      yield pending.subarray(0, end);
      pending = pending.subarray(end);
    }
    // Too long for the library, which needs only the frame's head to refuse it.
    if (pending.length >= frameHeadBytes && pending.readUInt32BE(1) > call.maxBytes) break;
  }
  yield pending;
}

function endOfFrame(bytes: Buffer): number {
  return bytes.length < frameHeadBytes ? Infinity : frameHeadBytes + bytes.readUInt32BE(1);
}

function isGzip(headers: Headers): boolean {
  return encodingHeaders.some((name) => headers.get(name)?.toLowerCase() === "gzip");
}

async function refuseBeyond(call: JsonBody, message: Uint8Array, isCompressed: boolean): Promise<void> {
  const { bounds, maxBytes } = call;
  const plain = isCompressed && message.length > 0 ? await decompress(message, maxBytes) : message;
  const problem = plain === null ? null : jsonProblem(plain, bounds);
  if (problem === null) return;
  throw toConnectError(unreadableBecause(`it ${problem}`));
}

/** Decompresses a message; null for input that the library itself refuses: invalid gzip, or too long. */
async function decompress(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array | null> {
  try {
    return await compressionGzip.decompress(bytes as Uint8Array<ArrayBuffer>, maxBytes);
  } catch {
    return null;
  }
}
