import { isSolsticeError, SolsticeError } from "../core/errors.ts";
import { networkProblem } from "../core/text/network-problem.ts";

/** What an S3 server answers instead of a success. */
export class S3Error extends Error {
  /** Such as `NoSuchKey`; null where the server named none. */
  readonly code: string | null;
  readonly status: number;

  constructor(code: string | null, status: number) {
    super(code ?? `HTTP ${status}`);
    this.name = "S3Error";
    this.code = code;
    this.status = status;
  }
}

/** No credentials were found, or what gives them does not answer. The message has no secret. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
}

/** Whether the server says that there is no such object. A bucket that is missing is another thing. */
export function isAbsent(error: unknown): boolean {
  return error instanceof S3Error && (error.code === "NoSuchKey" || error.code === "NotFound");
}

/** Whether the server says that a range begins at the end of an object or beyond it. */
export function isBeyondEnd(error: unknown): boolean {
  return error instanceof S3Error && error.status === 416;
}

/** Codes of answers below 500 that another try may change. */
const transientCodes = new Set([
  "RequestTimeout",
  "InternalError",
  "SlowDown",
  "Throttling",
  "OperationAborted",
]);

/** Whether the same call may succeed a moment later: a server that is away, busy, or failed by itself. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof S3Error)) return networkCode(error) !== null;
  return error.status >= 500 || error.status === 429 || transientCodes.has(error.code ?? "");
}

/**
 * What the S3 client throws, as `unavailable`: a bucket that is away, full, or refuses us may be there in a while, and
 * who waits for it has a deadline. The message has the server's words, never the credentials. Other errors pass: a file of
 * ours, or a stream that failed.
 */
export function convertS3Error(error: unknown, place: string): unknown {
  if (isSolsticeError(error)) return error;
  const reason = reasonOf(error);
  if (reason === null) return error;
  return new SolsticeError("unavailable", `${place} cannot be used (${reason}).`, {
    remedy: "See that the server runs, that the bucket exists, and that the credentials in AWS_* may use it.",
    cause: error,
  });
}

function reasonOf(error: unknown): string | null {
  if (error instanceof CredentialsError) return error.message;
  if (!(error instanceof S3Error)) return networkProblem(error)?.replace(/\.$/, "") ?? networkCode(error);
  return error.code === null ? `HTTP ${error.status}` : `${error.code}, HTTP ${error.status}`;
}

const networkCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/** The code of an error of the connection; null for any other error. */
function networkCode(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  const code = String(error.code);
  return networkCodes.has(code) || code.startsWith("HPE_") ? code : null;
}
