import { networkProblem } from "./text/network-problem.ts";

/**
 * The closed set of error codes. `docs/reference/errors.md` explains each; a test keeps the two equal.
 * A code says who must act: `usage` and `config_invalid` the person, `host_*` and `libvirt_*` the operator.
 */
export const errorCodes = [
  "usage",
  "config_invalid",
  "not_found",
  "already_exists",
  "unknown_label",
  "image_unavailable",
  "image_download_failed",
  "image_invalid",
  "disk_full",
  "locked",
  "host_missing_tool",
  "hypervisor_unavailable",
  "hypervisor_failed",
  "network_missing",
  "guest_refused",
  "unauthenticated",
  "conflict",
  "limit_exceeded",
  "unavailable",
  "store_failed",
  "broker_unavailable",
  "unroutable",
  "internal",
] as const;

/** One code of {@link errorCodes}. */
export type ErrorCode = (typeof errorCodes)[number];

/**
 * The one error class of the project. `message` says what happened, and `remedy` what to do about it, both in a
 * sentence addressed to a person. Foreign errors are converted where they enter and kept as `cause`.
 */
export class SolsticeError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "SolsticeError";
    this.code = code;
    this.remedy = options.remedy;
  }
}

/** True when `error` is a {@link SolsticeError}; with `code`, true only when it also has that code. */
export function isSolsticeError(error: unknown, code?: ErrorCode): error is SolsticeError {
  return error instanceof SolsticeError && (code === undefined || error.code === code);
}

/** The text of any thrown value, for a log line or a verdict. */
export function errorText(error: unknown): string {
  if (error instanceof SolsticeError && error.remedy) return `${error.message} ${error.remedy}`;
  if (error instanceof SolsticeError) return error.message;
  return networkProblem(error) ?? (error instanceof Error ? error.message : String(error));
}
