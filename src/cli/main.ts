import type { Writable } from "node:stream";
import { endOnBrokenPipe } from "./print/output.ts";
import { runCommandLine } from "./run-command-line.ts";

/** Resolves when all that was written has been handed to the reader. */
function flush(output: Writable): Promise<void> {
  return new Promise((resolve) => output.write("", () => resolve()));
}

const { stdout, stderr, stdin, env } = process;
endOnBrokenPipe([stdout, stderr]);
const code = await runCommandLine(process.argv.slice(2), { stdout, stderr, stdin, env, now: Date.now });
// Ended by hand, because a connection that is kept alive, or a stream's deadline, would hold the process for minutes.
await Promise.all([flush(stdout), flush(stderr)]);
process.exit(code);
