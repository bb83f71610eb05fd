import { once } from "node:events";
import { styleText } from "node:util";
import { TerminalFilter } from "../../core/text/terminal-text.ts";
import type { Output } from "../context.ts";
import { exitCodes } from "./exit-codes.ts";

/** Writes, and waits while the reader is slow, so that a log of any length needs the memory of one piece. */
export async function write(output: Output, chunk: string | Uint8Array): Promise<void> {
  if (!output.write(chunk)) await once(output, "drain");
}

/** An output for bytes from a guest. A terminal receives no control sequences except colours; other outputs receive each byte. */
export interface GuestOutput {
  write(bytes: Uint8Array): Promise<void>;
  /** Resets colours that the guest did not reset. More writes may follow. */
  end(): Promise<void>;
}

/** Wraps `output` for the bytes of a log. */
export function guestOutput(output: Output): GuestOutput {
  if (!output.isTTY) return { write: (bytes) => write(output, bytes), end: async () => {} };
  const filter = new TerminalFilter();
  return {
    write: (bytes) => write(output, filter.add(bytes)),
    end: () => write(output, filter.end()),
  };
}

/** Characters that JSON need not escape, but that control a terminal. */
const actsOnTerminal = /[\u007f-\u009f\p{Bidi_Control}\u2028\u2029]/gu;

/** A value as JSON that is safe on a terminal, also with untrusted texts: control characters are written as `\uXXXX`. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    actsOnTerminal,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Writes one JSON document, indented: the output of a command with `--json`. */
export function writeJson(output: Output, document: unknown): Promise<void> {
  return write(output, `${jsonText(document, 2)}\n`);
}

/** Colours `text` when `output` is a terminal and NO_COLOR is not set. */
export function paint(output: Output, format: Parameters<typeof styleText>[0], text: string): string {
  return styleText(format, text, { stream: output });
}

/** The colour of a job's or step's state. */
export function paintState(output: Output, state: string, text = state): string {
  if (state === "succeeded" || state === "ready") return paint(output, "green", text);
  if (state === "failed" || state === "infra_error") return paint(output, "red", text);
  if (state === "timed_out" || state === "cancelled") return paint(output, "yellow", text);
  if (state === "queued" || state === "pending" || state === "skipped") return paint(output, "dim", text);
  return paint(output, "cyan", text);
}

/**
 * Ends the process without a message when the reader closes the output (`solstice logs JOB | head`), as SIGPIPE would end
 * a program.
 */
export function endOnBrokenPipe(outputs: readonly Output[]): void {
  for (const output of outputs) {
    output.on("error", (error: NodeJS.ErrnoException) => {
      process.exit(error.code === "EPIPE" ? exitCodes.brokenPipe : exitCodes.failure);
    });
  }
}
