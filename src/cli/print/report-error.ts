import { CommanderError } from "commander";
import { errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { fileProblem, isPermissionProblem } from "../../core/text/file-problem.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfError } from "./exit-codes.ts";
import { jsonText, paint } from "./output.ts";
import { manyLines } from "./text.ts";

/** The document that `--json` prints on stderr when a command fails. */
export interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string | null };
}

/** Prints an error on stderr, as text or as JSON, and returns the exit code. `args` is the command line. */
export function reportError(
  context: CliContext,
  error: unknown,
  { json, args = [] }: { readonly json: boolean; readonly args?: readonly string[] },
): number {
  const reported = toSolsticeError(error, args);
  context.stderr.write(json ? `${jsonText(errorDocument(reported))}\n` : errorLines(context, reported));
  return exitCodeOfError(reported.code);
}

/** The JSON form of an error. */
export function errorDocument(error: SolsticeError): ErrorDocument {
  return { error: { code: error.code, message: error.message, remedy: error.remedy ?? null } };
}

/** Converts any error; an unexpected error becomes `internal`, with its stack for the report. */
function toSolsticeError(error: unknown, args: readonly string[]): SolsticeError {
  if (isSolsticeError(error)) return error;
  if (error instanceof CommanderError) return wrongCommandLine(error, args);
  if (isPermissionProblem(error)) {
    return new SolsticeError("config_invalid", `${error.path ?? errorText(error)}: ${fileProblem(error)}.`, {
      remedy: "Run as the user that owns it (usually root), or name another file or directory.",
      cause: error,
    });
  }
  const stack = error instanceof Error && error.stack ? `\n${error.stack}` : "";
  return new SolsticeError("internal", `A defect of Solstice: ${errorText(error)}${stack}`, {
    remedy: "Please report this defect with the lines above.",
    cause: error,
  });
}

/** Extra remedies for kinds of wrong command lines, by commander's error code. */
const hints: Readonly<Record<string, (command: string, message: string) => string>> = {
  "commander.excessArguments": (command) => hintsOnArguments[command] ?? "",
  "commander.missingArgument": (_command, message) =>
    message.includes("'JOB'") ? "`solstice jobs` lists the jobs. " : "",
};

/** Remedies for commands that people often call with too many arguments. */
const hintsOnArguments: Readonly<Record<string, string>> = {
  enqueue: "Name a job file with --file, a script with --script-file. ",
  artifacts: "Fetch files with `solstice artifacts get JOB [NAME...]`; there is no other action. ",
};

/** commander puts "error: " before each of its texts; what went wrong is in `code`. */
function wrongCommandLine(error: CommanderError, args: readonly string[]): SolsticeError {
  const isOfCommand = error.code !== "commander.unknownCommand" && /^[a-z]/.test(args[0] ?? "");
  const command = isOfCommand ? String(args[0]) : "";
  const hint = hints[error.code]?.(command, error.message) ?? "";
  return new SolsticeError("usage", error.message.replace(/^error: /, ""), {
    remedy: `${hint}See: solstice ${command ? `${command} ` : ""}--help`,
    cause: error,
  });
}

function errorLines(context: CliContext, error: SolsticeError): string {
  const name = paint(context.stderr, "red", "solstice:");
  const message = manyLines(error.message);
  const text =
    error.code === "config_invalid" ? `The configuration is not valid:\n${indent(message)}` : message;
  return `${name} ${text}\n${error.remedy ? `${manyLines(error.remedy)}\n` : ""}`;
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}
