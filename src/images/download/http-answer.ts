import type { IncomingHttpHeaders } from "node:http";
import { SolsticeError } from "../../core/errors.ts";
import type { RemoteVersion } from "./partial-file.ts";

/** Meaning of a server's answer for a download that already has `haveBytes`. */
export type AnswerMeaning =
  /** The body is the whole file, or its beginning when it is shorter than the version's length. */
  | { readonly kind: "whole"; readonly version: RemoteVersion }
  /** The body continues after the bytes on disk. */
  | { readonly kind: "rest" }
  /** All bytes are already on disk. */
  | { readonly kind: "nothing_missing" }
  /** The bytes on disk cannot be continued: drop them and send a new request. */
  | { readonly kind: "start_over"; readonly why: string };

/** Status and headers of an answer. */
export interface AnswerHead {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
}

const transientStatuses: readonly number[] = [408, 425, 429];

/**
 * Interprets a server's answer (RFC 9110, sections 14 and 15.3.7). Throws `not_found` for a permanent refusal, and
 * `image_download_failed` for a temporary one.
 */
export function readAnswer(head: AnswerHead, haveBytes: number, known: RemoteVersion): AnswerMeaning {
  const { statusCode, headers } = head;
  if (statusCode === 200) return { kind: "whole", version: versionOf(headers) };
  if (statusCode === 206) {
    return haveBytes > 0 ? readPartial(headers, haveBytes, known) : readUnasked(headers);
  }
  if (statusCode === 416 && haveBytes > 0) return readUnsatisfied(headers, haveBytes);
  throw refusal(statusCode);
}

/** Returns the headers of a request that continues, or null when the server could not detect a changed file. */
export function continuationHeaders(
  haveBytes: number,
  known: RemoteVersion,
  hasChecksum: boolean,
): Record<string, string> | null {
  if (haveBytes === 0) return {};
  const range = { range: `bytes=${haveBytes}-` };
  // A weak ETag is not allowed here (RFC 9110, 13.1.5).
  if (known.etag && !known.etag.startsWith("W/")) return { ...range, "if-range": known.etag };
  if (known.lastModified) return { ...range, "if-range": known.lastModified };
  // Without a validator, only a checksum can detect a file that changed meanwhile.
  return hasChecksum ? range : null;
}

function readPartial(headers: IncomingHttpHeaders, haveBytes: number, known: RemoteVersion): AnswerMeaning {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers["content-range"] ?? "");
  if (!range || Number(range[1]) !== haveBytes) {
    return { kind: "start_over", why: "the server sent another range than the requested one" };
  }
  const totalBytes = range[2] === "*" ? null : Number(range[2]);
  const now = versionOf(headers);
  const hasChanged =
    (known.etag && now.etag && known.etag !== now.etag) ||
    (known.totalBytes !== null && totalBytes !== null && known.totalBytes !== totalBytes);
  return hasChanged ? { kind: "start_over", why: "the file changed at its source" } : { kind: "rest" };
}

/**
 * Interprets a range in answer to a request without one: the beginning of the file, whose rest is requested next, or
 * unusable.
 */
function readUnasked(headers: IncomingHttpHeaders): AnswerMeaning {
  const total = /^bytes 0-\d+\/(\d+)$/.exec(headers["content-range"] ?? "")?.[1];
  if (total === undefined) throw refusal(206);
  return { kind: "whole", version: { ...versionOf(headers), totalBytes: Number(total) } };
}

function readUnsatisfied(headers: IncomingHttpHeaders, haveBytes: number): AnswerMeaning {
  const total = /^bytes \*\/(\d+)$/.exec(headers["content-range"] ?? "")?.[1];
  if (total !== undefined && Number(total) === haveBytes) return { kind: "nothing_missing" };
  return { kind: "start_over", why: "the file at its source is shorter than the part on disk" };
}

function versionOf(headers: IncomingHttpHeaders): RemoteVersion {
  const length = Number(headers["content-length"]);
  return {
    etag: headers.etag ?? null,
    lastModified: headers["last-modified"] ?? null,
    totalBytes: headers["content-length"] !== undefined && Number.isSafeInteger(length) ? length : null,
  };
}

/** The error for an answer without a file: `not_found` when permanent, `image_download_failed` when temporary. */
export function refusal(statusCode: number): SolsticeError {
  const isPermanent = statusCode >= 400 && statusCode < 500 && !transientStatuses.includes(statusCode);
  return isPermanent
    ? new SolsticeError("not_found", `The server answered ${statusCode}.`, {
        remedy: "Check the image's source in the map.",
      })
    : new SolsticeError("image_download_failed", `The server answered ${statusCode}.`, {
        remedy: "Try again later.",
      });
}
