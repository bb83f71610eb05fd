import { CommanderError } from "commander";
import { errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { fileProblem, isPermissionProblem } from "../../core/text/file-problem.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfError } from "./exit-codes.ts";
import { jsonText, paint } from "./output.ts";
import { manyLines } from "./text.ts";

/** What `--json` prints on stderr when a command fails. */
export interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string | null };
}

/** Tells an error on stderr, as a sentence or as JSON, and returns what to exit with. `args` is the command line. */
export function reportError(
  context: CliContext,
  error: unknown,
  { json, args = [] }: { readonly json: boolean; readonly args?: readonly string[] },
): number {
  const known = toSolsticeError(error, args);
  context.stderr.write(json ? `${jsonText(errorDocument(known))}\n` : errorLines(context, known));
  return exitCodeOfError(known.code);
}

/** The JSON form of an error. */
export function errorDocument(error: SolsticeError): ErrorDocument {
  return { error: { code: error.code, message: error.message, remedy: error.remedy ?? null } };
}

/** Any error as ours; one that nobody expected is `internal`, with its stack for the report. */
function toSolsticeError(error: unknown, args: readonly string[]): SolsticeError {
  if (isSolsticeError(error)) return error;
  if (error instanceof CommanderError) return wrongCommandLine(error, args);
  if (isPermissionProblem(error)) {
    return new SolsticeError("config_invalid", `${error.path ?? errorText(error)}: ${fileProblem(error)}.`, {
      remedy: "Run as the user that owns it (mostly root), or name another file or directory.",
      cause: error,
    });
  }
  const stack = error instanceof Error && error.stack ? `\n${error.stack}` : "";
  return new SolsticeError("internal", `A defect of Solstice: ${errorText(error)}${stack}`, {
    remedy: "Please report it with these lines.",
    cause: error,
  });
}

/** What else helps where the command line is wrong in a certain way, by the code that commander gives it. */
const hints: Readonly<Record<string, (command: string, message: string) => string>> = {
  "commander.excessArguments": (command) => hintsOnArguments[command] ?? "",
  "commander.missingArgument": (_command, message) =>
    message.includes("'JOB'") ? "`solstice jobs` lists the jobs. " : "",
};

/** What people mean who give a command more arguments than it takes. */
const hintsOnArguments: Readonly<Record<string, string>> = {
  enqueue: "A job file is named with --file, a script with --script-file. ",
  artifacts:
    "Files are fetched with `solstice artifacts get JOB [NAME...]`; nothing else can be done with them. ",
};

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
  const reported =
    error.code === "config_invalid" ? `The configuration is not valid:\n${indent(message)}` : message;
  return `${name} ${reported}\n${error.remedy ? `${manyLines(error.remedy)}\n` : ""}`;
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}
