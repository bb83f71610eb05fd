import type { Writable } from "node:stream";
import type { Environment } from "../config/options/read-options.ts";

/** An output of the process: a stream; for a terminal also its width. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** The parts of its process that a command uses. */
export interface CliContext {
  readonly stdout: Output;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadableStream;
  readonly env: Environment;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Sets the exit code of the process; 0 if no command sets one. */
  setExitCode(code: number): void;
}
