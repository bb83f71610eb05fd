/** The libvirt error codes (virErrorNumber in virterror.h) that callers are likely to distinguish. */
export const LibvirtErrorCode = {
  INTERNAL_ERROR: 1,
  NO_MEMORY: 2,
  NO_SUPPORT: 3,
  NO_CONNECT: 5,
  INVALID_DOMAIN: 7,
  INVALID_ARG: 8,
  OPERATION_FAILED: 9,
  XML_ERROR: 27,
  DOM_EXIST: 28,
  OPERATION_DENIED: 29,
  XML_DETAIL: 35,
  NETWORK_EXIST: 37,
  SYSTEM_ERROR: 38,
  RPC: 39,
  NO_DOMAIN: 42,
  NO_NETWORK: 43,
  AUTH_FAILED: 45,
  OPERATION_INVALID: 55,
  CONFIG_UNSUPPORTED: 67,
  OPERATION_TIMEOUT: 68,
  AUTH_CANCELLED: 79,
  NO_DOMAIN_METADATA: 80,
  OPERATION_UNSUPPORTED: 84,
  AGENT_UNRESPONSIVE: 86,
  RESOURCE_BUSY: 87,
  ACCESS_DENIED: 88,
  XML_INVALID_SCHEMA: 92,
  AUTH_UNAVAILABLE: 94,
} as const;

/** The server's error about a failed call, with the call's name. `domain` is the part of libvirt that failed. */
export interface LibvirtErrorDetails {
  code: number;
  domain: number;
  level: number;
  message: string;
  procedure: string;
}

/** The server answered a call with an error. `code` is one of {@link LibvirtErrorCode}, or another number. */
export class LibvirtError extends Error {
  readonly code: number;
  /** virErrorDomain: the part of libvirt that failed (10 = qemu, 19 = network ...). */
  readonly domain: number;
  /** virErrorLevel: 1 = warning, 2 = error. */
  readonly level: number;
  /** The call that failed, for example `domain_create`. */
  readonly procedure: string;

  constructor(details: LibvirtErrorDetails) {
    super(details.message);
    this.name = "LibvirtError";
    this.code = details.code;
    this.domain = details.domain;
    this.level = details.level;
    this.procedure = details.procedure;
  }
}

/**
 * Reason why a connection or a call failed without an answer from the server: `connect` no daemon answered, `auth` the
 * daemon requires an unsupported authentication, `lost` the socket closed, `timeout` the call's deadline passed,
 * `overloaded` too many calls are waiting, `protocol` the received bytes are invalid, `closed` the owner closed the
 * client.
 */
export type ConnectionErrorReason =
  | "connect"
  | "auth"
  | "lost"
  | "timeout"
  | "overloaded"
  | "protocol"
  | "closed";

/** A failure of the socket, not of the request. See {@link ConnectionErrorReason}. */
export class LibvirtConnectionError extends Error {
  readonly reason: ConnectionErrorReason;
  /** True when the call was sent: the server may have executed it. */
  readonly mayHaveRun: boolean;

  constructor(
    reason: ConnectionErrorReason,
    message: string,
    options: { cause?: unknown; mayHaveRun?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "LibvirtConnectionError";
    this.reason = reason;
    this.mayHaveRun = options.mayHaveRun ?? false;
  }
}

/** True when `error` is an answer of the server; with `code`, true only when it also carries that code. */
export function isLibvirtError(error: unknown, code?: number): error is LibvirtError {
  return error instanceof LibvirtError && (code === undefined || error.code === code);
}
