import type { Command } from "commander";
import { clientOptions } from "../config/options/options.ts";
import { type ApiSession, openApiSession } from "./api/api-session.ts";
import type { CliContext } from "./context.ts";
import { contradiction } from "./installation/contradiction.ts";
import { addOptions, flagsGiven } from "./option-flags.ts";
import { paint } from "./print/output.ts";
import { oneLine } from "./print/text.ts";

/** Registers one command with `program`. Each command has its own file. */
export type RegisterCommand = (program: Command, context: CliContext) => void;

/** Adds the options of a command that calls the API, and `--json`. */
export function addClientOptions(command: Command): Command {
  command.option("--json", "print one JSON document (and errors as JSON on stderr)");
  return addOptions(command, clientOptions);
}

/**
 * Opens the session that a command's flags and environment describe. Prints a warning if they name an API and the data
 * directory of another installation.
 */
export async function openSession(command: Command, context: CliContext): Promise<ApiSession> {
  const session = await openApiSession(flagsGiven(command), context.env);
  const warning = await contradiction(session);
  if (warning !== null) warn(context, warning);
  return session;
}

/** Writes a warning to stderr, in one line. */
export function warn({ stderr }: CliContext, text: string): void {
  stderr.write(`${paint(stderr, "yellow", "Warning:")} ${oneLine(text)}\n`);
}

/** Examples for the end of a command's help: pairs of what to type and what it does. */
export function examplesText(examples: readonly (readonly [string, string])[]): string {
  const lines = examples.map(([line, meaning]) => `  ${line}\n      ${meaning}`);
  return `\nExamples:\n${lines.join("\n")}\n`;
}
