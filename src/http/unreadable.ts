import { ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { SolsticeError } from "../core/errors.ts";

/** A response before it is sent. */
export type UniversalResponse = Awaited<ReturnType<UniversalHandler>>;

/**
 * The beginning of the library's error when bytes or JSON are not a message of the method. Its code is `internal`, as for
 * each of our own mistakes, and a unary answer is already bytes here: only the text differs. A test checks it.
 */
const unreadableText = /^(?:parse binary: |cannot decode (?:message|field) )/;

/** The library repeats the input that it cannot read; this many characters of it are useful. */
const reasonChars = 300;

/**
 * The error for a request that is not a message of the method that it calls; null when `text` is another
 * error.
 */
export function unreadableRequest(text: string): SolsticeError | null {
  if (!unreadableText.test(text)) return null;
  const reason = text.slice(0, reasonChars).replace(/^parse binary: /, "its protobuf is broken: ");
  return unreadableBecause(reason);
}

/** The error for a message that cannot be read; `reason` is a clause that follows a colon. */
export function unreadableBecause(reason: string): SolsticeError {
  return new SolsticeError("usage", `The request cannot be read: ${reason}.`, {
    remedy:
      "Compare it with the method's message in proto/solstice/v1, and the Content-Type with what is sent.",
  });
}

/**
 * Finds the library's own error for a unary request that it could not read: the library reports `internal`
 * although the mistake is the caller's. Such a response passes no interceptor; those of streams do.
 */
export async function findUnreadable(response: UniversalResponse): Promise<{
  readonly response: UniversalResponse;
  readonly refusal: SolsticeError | null;
}> {
  const trailer = response.trailer?.get("grpc-message");
  if (trailer) return { response, refusal: unreadableRequest(decodeText(trailer)) };
  const contentType = response.header?.get("content-type") ?? "";
  const isWeb = contentType.startsWith("application/grpc-web");
  if (response.status < 400 && !isWeb) return { response, refusal: null };
  const body = await readBody(response);
  const text = isWeb ? webMessage(body) : connectMessage(body);
  return { response: { ...response, body: oneChunk(body) }, refusal: unreadableRequest(text) };
}

/** The error of a stream whose message cannot be read; null for other errors. */
export function unreadableError(error: unknown): SolsticeError | null {
  return error instanceof ConnectError ? unreadableRequest(error.rawMessage) : null;
}

/** Joins the pieces of a unary response, which is completely in memory. */
async function readBody({ body }: UniversalResponse): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  if (body) for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* oneChunk(body: Buffer): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield body as Uint8Array<ArrayBuffer>;
}

/** The flag of a gRPC-Web frame that holds trailers; such a frame is the first when the call failed. */
const trailersFlag = 0x80;

/** Bytes before the content of a frame: the flag and the length. */
const frameHeadBytes = 5;

function webMessage(body: Buffer): string {
  if (body[0] !== trailersFlag) return "";
  const lines = body.subarray(frameHeadBytes).toString("latin1");
  return decodeText(/^grpc-message: (.*)$/m.exec(lines)?.[1] ?? "");
}

function connectMessage(body: Buffer): string {
  try {
    const { message } = JSON.parse(body.toString());
    return typeof message === "string" ? message : "";
  } catch {
    return "";
  }
}

function decodeText(encoded: string): string {
  try {
    return decodeURIComponent(encoded.trim());
  } catch {
    return encoded;
  }
}
