import { ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { SolsticeError } from "../core/errors.ts";

/** An answer before it goes to the wire. */
export type UniversalResponse = Awaited<ReturnType<UniversalHandler>>;

/** How the library's sentence begins where bytes or JSON are no message of the method; the tests hold it to that. */
const unreadableText = /^(?:parse binary: |cannot decode (?:message|field) )/;

/** The library repeats what it cannot read; so much of that helps. */
const reasonChars = 300;

/** What a caller is told whose request is no message of the method it calls; null where `text` says something else. */
export function unreadableRequest(text: string): SolsticeError | null {
  if (!unreadableText.test(text)) return null;
  const reason = text.slice(0, reasonChars).replace(/^parse binary: /, "its protobuf is broken: ");
  return unreadableBecause(reason);
}

/** The error of a caller whose message cannot be read, with why in words that follow a colon. */
export function unreadableBecause(reason: string): SolsticeError {
  return new SolsticeError("usage", `The request cannot be read: ${reason}.`, {
    remedy:
      "Compare it with the method's message in proto/solstice/v1, and the Content-Type with what is sent.",
  });
}

/**
 * Whether an answer to a unary call is the library's own about a request that it could not read, for which it says
 * `internal` where the mistake is the caller's. Such an answer passes no interceptor; those of streams do.
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

/** The error of a stream's caller likewise; null where it is another one. */
export function unreadableError(error: unknown): SolsticeError | null {
  return error instanceof ConnectError ? unreadableRequest(error.rawMessage) : null;
}

/** The answer of a unary call is in memory as a whole: this only joins its pieces. */
async function readBody({ body }: UniversalResponse): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  if (body) for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* oneChunk(body: Buffer): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield body as Uint8Array<ArrayBuffer>;
}

/** The flag of a gRPC-Web frame that holds trailers, which is the first one where the call failed. */
const trailersFlag = 0x80;

/** Bytes before the content of a frame: the flag, and the length. */
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
