import type { Writable } from "node:stream";
import type { Environment } from "../config/options/read-options.ts";

/** An output of the process: a stream, and the terminal's width where it is one. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What a command gets from the process it runs in. */
export interface CliContext {
  readonly stdout: Output;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadableStream;
  readonly env: Environment;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Called by a command with what the process is to exit with; 0 when no command says otherwise. */
  setExitCode(code: number): void;
}
