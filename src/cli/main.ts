import type { Writable } from "node:stream";
import { CommanderError } from "commander";
import type { CliContext } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { endOnBrokenPipe } from "./output.ts";
import { createProgram } from "./program.ts";
import { reportError } from "./report-error.ts";

/** Runs one command line and returns what to exit with. */
async function run(args: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const context: CliContext = {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    now: Date.now,
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  endOnBrokenPipe(context);
  try {
    const program = await createProgram(context, args);
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    // Help that was printed because nothing was asked for is on stderr already.
    if (error instanceof CommanderError && error.code === "commander.help") return exitCodes.usage;
    return reportError(context, error, { json: args.includes("--json"), args });
  }
}

/** Resolves when all that was written has been handed to the reader. */
function flush(output: Writable): Promise<void> {
  return new Promise((resolve) => output.write("", () => resolve()));
}

const code = await run(process.argv.slice(2));
// Ended by hand, because a connection that is kept alive, or a stream's deadline, would hold the process for minutes.
await Promise.all([flush(process.stdout), flush(process.stderr)]);
process.exit(code);
