import { isSolsticeError, SolsticeError } from "../core/errors.ts";

/** Whether the server says that there is no such object. A bucket that is missing is another thing. */
export function isAbsent(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "NoSuchKey" || error.name === "NotFound";
}

/**
 * What the client library throws, as `unavailable`: a bucket that is away, full, or refuses us may be there in a while, and
 * who waits for it has a deadline. The message has the server's words, never the credentials. Other errors pass: a file of
 * ours, or a stream that failed.
 */
export function convertS3Error(error: unknown, place: string): unknown {
  if (isSolsticeError(error) || !isLibraryError(error)) return error;
  const { httpStatusCode } = error.$metadata ?? {};
  const status = httpStatusCode === undefined ? "" : `, HTTP ${httpStatusCode}`;
  const reason = error.name === "Error" ? (error.code ?? error.message) : error.name;
  return new SolsticeError("unavailable", `${place} cannot be used (${reason}${status}).`, {
    remedy: "See that the server runs, that the bucket exists, and that the credentials in AWS_* may use it.",
    cause: error,
  });
}

type LibraryError = Error & {
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly code?: string;
};

const networkCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
]);

function isLibraryError(error: unknown): error is LibraryError {
  if (!(error instanceof Error)) return false;
  if ("$metadata" in error || "$fault" in error) return true;
  return (
    error.name === "CredentialsProviderError" ||
    error.name === "TimeoutError" ||
    networkCodes.has(String((error as LibraryError).code))
  );
}
