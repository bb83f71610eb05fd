/**
 * Where every part reports: an object of facts, then a sentence. It is the part of a pino logger that is used, so that a
 * pino logger fits. No secret is ever given to it.
 */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log that keeps nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
