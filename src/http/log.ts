/** The part of a pino logger that this folder uses. The code that starts a server passes a logger in. */
export interface ApiLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
