import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { type Options, optionValue } from "../host/getopt.ts";

/** A table of dladm or ipadm. */
export interface Table {
  readonly columns: readonly string[];
  readonly lines: readonly Readonly<Record<string, string>>[];
  readonly program?: string;
}

/** Prints a table as libofmt does: with -p and -o values are separated by colons, and colons in them are escaped. */
export function printFields(
  context: Context,
  options: Options,
  { columns, lines, program = "dladm" }: Table,
): void {
  const wanted = optionValue(options, "o")?.toUpperCase().split(",");
  const isParsable = options.given.has("p");
  if (isParsable && wanted === undefined) {
    throw new CommandFailure(`${program}: output field list (-o) required in parsable output mode`);
  }
  const fields = wanted === undefined || wanted.includes("ALL") ? columns : wanted;
  const known = new Set([...columns, ...Object.keys(lines[0] ?? {})]);
  const bad = fields.filter((field) => !known.has(field));
  if (bad.length > 0) {
    const text = `unknown output field${bad.length > 1 ? "s" : ""} ${bad.map((field) => `\`${field.toLowerCase()}'`).join(", ")}`;
    if (bad.length === fields.length) throw new CommandFailure(`${program}: ${text}`);
    context.err(`${program}: ${text}`);
  }
  const shown = fields.filter((field) => known.has(field));
  if (isParsable) {
    for (const line of lines)
      context.out(shown.map((field) => escapeFor(shown, line[field] ?? "")).join(":"));
    return;
  }
  const table = [shown, ...lines.map((line) => shown.map((field) => line[field] || "--"))];
  const widths = shown.map((_, index) => Math.max(...table.map((line) => line[index]?.length ?? 0)));
  for (const line of table)
    context.out(
      line
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    );
}

/** A single field needs no separator, so its colons are not escaped. */
function escapeFor(fields: readonly string[], value: string): string {
  return fields.length > 1 ? value.replace(/[\\:]/g, "\\$&") : value;
}
