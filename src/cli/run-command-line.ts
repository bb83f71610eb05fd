import { CommanderError } from "commander";
import type { CliContext } from "./context.ts";
import { exitCodes } from "./print/exit-codes.ts";
import { reportError } from "./print/report-error.ts";
import { createProgram } from "./program.ts";
import { readCommandWords } from "./words/command-words.ts";

/** Runs one command line with the given streams and environment, and returns the exit code. */
export async function runCommandLine(
  args: readonly string[],
  surroundings: Omit<CliContext, "setExitCode">,
): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const context: CliContext = {
    ...surroundings,
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  try {
    const program = await createProgram(context, args);
    await program.parseAsync(readCommandWords(program, args), { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    // Commander has printed the help on stderr, because the command line names no command.
    if (error instanceof CommanderError && error.code === "commander.help") return exitCodes.usage;
    return reportError(context, error, { json: args.includes("--json"), args });
  }
}
