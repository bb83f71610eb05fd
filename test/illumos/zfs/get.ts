import type { Context } from "../host/context.ts";
import { CommandFailure, usageExitCode } from "../host/failure.ts";
import { type Options, optionValue } from "../host/getopt.ts";
import { rows } from "../host/state.ts";
import type { Dataset } from "./datasets.ts";
import { shown } from "./list.ts";
import { aliases, isUserProperty, natives, propertyOf } from "./properties.ts";
import { select } from "./select.ts";

const fieldNames = ["name", "property", "value", "received", "source"];

/** zfs get. */
export function get(context: Context, options: Options): void {
  const [wanted, ...names] = options.operands;
  if (wanted === undefined)
    throw new CommandFailure("missing property argument\nusage:\n\tget", usageExitCode);
  const fields = readFields(optionValue(options, "o"));
  const sources = optionValue(options, "s")?.split(",");
  const { found, complaints } = select(context, options, names, ["filesystem", "volume", "snapshot"]);
  const lines: string[][] = [];
  for (const dataset of found) {
    for (const property of propertyNames(context, dataset, wanted)) {
      const line = oneLine(context, dataset, { property, exact: options.given.has("p") });
      if (sources && !sources.includes(line.kind)) continue;
      lines.push(fields.map((field) => line.fields[field] ?? "-"));
    }
  }
  if (options.given.has("H")) for (const line of lines) context.out(line.join("\t"));
  else if (lines.length > 0) printTable(context, [fields.map((field) => field.toUpperCase()), ...lines]);
  if (complaints.length > 0) throw new CommandFailure(complaints.join("\n"));
}

function readFields(text: string | undefined): string[] {
  const fields = (text ?? "name,property,value,source").split(",");
  if (fields.includes("all")) return fieldNames;
  for (const field of fields) {
    if (!fieldNames.includes(field)) {
      throw new CommandFailure(`invalid column name '${field}'\nusage:\n\tget`, usageExitCode);
    }
  }
  return fields;
}

function propertyNames(context: Context, dataset: Dataset, wanted: string): string[] {
  if (wanted !== "all") return wanted.split(",").map(propertyName);
  const applying = Object.entries(natives).filter(([, { types }]) => types.includes(dataset.type));
  const users = rows<{ name: string }>(
    context.database,
    "SELECT DISTINCT name FROM properties WHERE name LIKE '%:%'",
  );
  return [...applying.map(([name]) => name), ...users.map(({ name }) => name)].filter(
    (name) => propertyOf(context, dataset, name) !== null,
  );
}

function propertyName(text: string): string {
  const name = aliases[text] ?? text;
  if (!natives[name] && !isUserProperty(name)) {
    throw new CommandFailure(`bad property list: invalid property '${text}'\nusage:\n\tget`, usageExitCode);
  }
  return name;
}

function oneLine(
  context: Context,
  dataset: Dataset,
  { property, exact }: { property: string; exact: boolean },
) {
  const found = propertyOf(context, dataset, property);
  const source = found?.source ?? "-";
  const kind = source.startsWith("inherited") ? "inherited" : source === "-" ? "none" : source;
  const value = found ? shown(found, exact) : "-";
  return {
    kind,
    fields: { name: dataset.name, property, value, source, received: "-" } as Record<string, string>,
  };
}

function printTable(context: Context, lines: readonly string[][]): void {
  const widths = (lines[0] ?? []).map((_, index) =>
    Math.max(...lines.map((line) => line[index]?.length ?? 0)),
  );
  for (const line of lines) {
    context.out(
      line
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}
