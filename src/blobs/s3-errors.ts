import { isSolsticeError, SolsticeError } from "../core/errors.ts";
import { networkProblem } from "../core/text/network-problem.ts";

/** An error response of an S3 server. */
export class S3Error extends Error {
  /** S3's error code, such as `NoSuchKey`; null when the server sent none. */
  readonly code: string | null;
  readonly status: number;

  constructor(code: string | null, status: number) {
    super(code ?? `HTTP ${status}`);
    this.name = "S3Error";
    this.code = code;
    this.status = status;
  }
}

/** No credentials were found, or their source does not answer. The message contains no secret. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
}

/** True when the server reports that the object does not exist. A missing bucket does not count. */
export function isAbsent(error: unknown): boolean {
  return error instanceof S3Error && (error.code === "NoSuchKey" || error.code === "NotFound");
}

/** True when the server reports that a range begins at or after the end of an object. */
export function isBeyondEnd(error: unknown): boolean {
  return error instanceof S3Error && error.status === 416;
}

/** Error codes below HTTP 500 for which a retry may succeed. */
const transientCodes = new Set([
  "RequestTimeout",
  "InternalError",
  "SlowDown",
  "Throttling",
  "OperationAborted",
]);

/** True when a retry may succeed a moment later: the server is unreachable, busy, or failed internally. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof S3Error)) return networkCode(error) !== null;
  return error.status >= 500 || error.status === 429 || transientCodes.has(error.code ?? "");
}

/**
 * Converts an error of the S3 client into `unavailable`: a bucket that is unreachable, full, or refuses access may be
 * usable later, and every waiting caller has a deadline. The message has the server's text, never the credentials.
 * Other errors (a local file, a stream that failed) pass unchanged.
 */
export function convertS3Error(error: unknown, place: string): unknown {
  if (isSolsticeError(error)) return error;
  const reason = reasonOf(error);
  if (reason === null) return error;
  return new SolsticeError("unavailable", `${place} cannot be used (${reason}).`, {
    remedy:
      "Check that the server runs, that the bucket exists, and that the credentials in AWS_* have access to it.",
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

/** The code of a connection error; null for any other error. */
function networkCode(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  const code = String(error.code);
  return networkCodes.has(code) || code.startsWith("HPE_") ? code : null;
}
