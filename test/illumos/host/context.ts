import type { DatabaseSync } from "node:sqlite";

/** What a command of the stand-in works with. */
export interface Context {
  /** The stand-in's directory: state, file systems, volumes. */
  readonly directory: string;
  readonly database: DatabaseSync;
  /** A line for stdout. */
  out(line: string): void;
  /** A line for stderr. */
  err(line: string): void;
  /** Called where half of the work is done: a test may have asked for a death at this point. */
  halfway(): void;
}

/** One command: returns when it has succeeded, throws a `CommandFailure` when not; a number is an exit code. */
export type Command = (
  context: Context,
  args: readonly string[],
) => Promise<number | undefined> | number | undefined;
