import { spawnSync } from "node:child_process";
import type { ReadStream } from "node:tty";
import { exitCodes } from "../print/exit-codes.ts";

/** A person's terminal in raw mode. */
export interface LocalTerminal {
  readonly size: { readonly rows: number; readonly columns: number };
  /** Restores the terminal's mode. Idempotent. */
  restore(): void;
}

/** Signals that end a command, and its exit code. The terminal must not stay in raw mode. */
const deadly = {
  SIGTERM: exitCodes.terminated,
  SIGHUP: exitCodes.terminated,
  SIGINT: exitCodes.interrupted,
} as const;

/**
 * Puts the terminal into raw mode, so that each key goes to the guest. `restore` ends raw mode, and so does every end of the
 * process except SIGKILL.
 */
export function takeTerminal(
  input: ReadStream,
  output: { readonly rows?: number; readonly columns?: number },
): LocalTerminal {
  let isRaw = true;
  const restore = () => {
    if (!isRaw) return;
    isRaw = false;
    input.setRawMode(false);
    process.off("exit", restore);
    for (const [signal, end] of ends) process.off(signal, end);
  };
  const ends = Object.entries(deadly).map(([signal, code]) => {
    const end = () => {
      restore();
      process.exit(code);
    };
    return [signal, end] as const;
  });
  process.on("exit", restore);
  for (const [signal, end] of ends) process.on(signal, end);
  input.setRawMode(true);
  // Node's raw mode still adds a carriage return to each line end, which full-screen programs do not expect. Node restores
  // this setting too. Without stty, most programs look right.
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  return { size: { rows: output.rows ?? 0, columns: output.columns ?? 0 }, restore };
}
