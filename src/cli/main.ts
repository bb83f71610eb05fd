import type { Writable } from "node:stream";
import { endOnBrokenPipe } from "./print/output.ts";
import { runCommandLine } from "./run-command-line.ts";

/** Resolves when all output has been passed to the reader. */
function flush(output: Writable): Promise<void> {
  return new Promise((resolve) => output.write("", () => resolve()));
}

const { stdout, stderr, stdin, env } = process;
endOnBrokenPipe([stdout, stderr]);
const code = await runCommandLine(process.argv.slice(2), { stdout, stderr, stdin, env, now: Date.now });
// Explicit exit: a kept-alive connection, or a stream's deadline, would keep the process alive for minutes.
await Promise.all([flush(stdout), flush(stderr)]);
process.exit(code);
