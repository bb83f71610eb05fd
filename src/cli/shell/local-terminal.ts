import { spawnSync } from "node:child_process";
import type { ReadStream } from "node:tty";
import { exitCodes } from "../print/exit-codes.ts";

/** This end of a shell: a person's terminal in raw mode. */
export interface LocalTerminal {
  readonly size: { readonly rows: number; readonly columns: number };
  /** Gives the terminal back as it was. Repeats are fine. */
  restore(): void;
}

/** Signals that end a command: the terminal must not stay raw then. */
const deadly = {
  SIGTERM: exitCodes.terminated,
  SIGHUP: exitCodes.terminated,
  SIGINT: exitCodes.interrupted,
} as const;

/**
 * Puts the terminal into raw mode, so that each key goes to the other side. It is restored by `restore`, and whatever else
 * ends the process, but for SIGKILL.
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
  // Node's raw mode still adds a carriage return to each line end, which programs of whole screens do not expect. It gives
  // back what was before all the same; and without stty most things look right.
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  return { size: { rows: output.rows ?? 0, columns: output.columns ?? 0 }, restore };
}
