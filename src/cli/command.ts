import type { Command } from "commander";
import { clientOptions } from "../config/options.ts";
import { type ApiSession, openApiSession } from "./api-session.ts";
import type { CliContext } from "./context.ts";
import { addOptions, flagsGiven } from "./option-flags.ts";

/** One command of the program: it makes itself known to `program`. Each lives in its own file. */
export type RegisterCommand = (program: Command, context: CliContext) => void;

/** Adds the options of a command that calls the API, and `--json`. */
export function addClientOptions(command: Command): Command {
  command.option("--json", "print one JSON document (and errors as JSON on stderr)");
  return addOptions(command, clientOptions);
}

/** The connection that a command's flags and environment describe. */
export function openSession(command: Command, context: CliContext): Promise<ApiSession> {
  return openApiSession(flagsGiven(command), context.env);
}

/** Examples for the end of a command's help: pairs of what to type and what it does. */
export function examplesText(examples: readonly (readonly [string, string])[]): string {
  const lines = examples.map(([line, meaning]) => `  ${line}\n      ${meaning}`);
  return `\nExamples:\n${lines.join("\n")}\n`;
}
