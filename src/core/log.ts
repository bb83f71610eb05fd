/**
 * The log of every part: an object of facts, then a sentence. Has the methods of a pino logger that are used, so a pino
 * logger implements it. Callers never pass a secret.
 */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log that drops every line. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
