import { CommanderError } from "commander";
import { errorText, isSolsticeError, SolsticeError } from "../core/errors.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOfError } from "./exit-codes.ts";
import { paint } from "./output.ts";
import { manyLines } from "./text.ts";

/** What `--json` prints on stderr when a command fails. */
export interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string | null };
}

/** Tells an error on stderr, as a sentence or as JSON, and returns what to exit with. */
export function reportError(context: CliContext, error: unknown, json: boolean): number {
  const known = toSolsticeError(error);
  context.stderr.write(json ? `${JSON.stringify(errorDocument(known))}\n` : errorLines(context, known));
  return exitCodeOfError(known.code);
}

/** The JSON form of an error. */
export function errorDocument(error: SolsticeError): ErrorDocument {
  return { error: { code: error.code, message: error.message, remedy: error.remedy ?? null } };
}

/** Any error as ours; one that nobody expected is `internal`, with its stack for the report. */
export function toSolsticeError(error: unknown): SolsticeError {
  if (isSolsticeError(error)) return error;
  if (error instanceof CommanderError) {
    return new SolsticeError("usage", error.message.replace(/^error: /, ""), { cause: error });
  }
  const stack = error instanceof Error && error.stack ? `\n${error.stack}` : "";
  return new SolsticeError("internal", `A defect of Solstice: ${errorText(error)}${stack}`, {
    remedy: "Please report it with these lines.",
    cause: error,
  });
}

function errorLines(context: CliContext, error: SolsticeError): string {
  const name = paint(context.stderr, "red", "solstice:");
  const message = manyLines(error.message);
  const told =
    error.code === "config_invalid" ? `The configuration is not valid:\n${indent(message)}` : message;
  return `${name} ${told}\n${error.remedy ? `${manyLines(error.remedy)}\n` : ""}`;
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}
