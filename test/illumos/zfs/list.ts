import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { type Options, optionValue } from "../host/getopt.ts";
import type { Dataset } from "./datasets.ts";
import { aliases, isUserProperty, natives, propertyOf } from "./properties.ts";
import { select } from "./select.ts";
import { niceSize } from "./sizes.ts";

const headings: Record<string, string> = { available: "AVAIL", referenced: "REFER", compressratio: "RATIO" };

/** zfs list. */
export function list(context: Context, options: Options): void {
  const columns = (optionValue(options, "o") ?? "name,used,available,referenced,mountpoint")
    .split(",")
    .map(columnName);
  const { found, complaints } = select(context, options, options.operands, ["filesystem", "volume"]);
  const exact = options.given.has("p");
  const table = found.map((dataset) => columns.map((column) => cell(context, dataset, { column, exact })));
  if (options.given.has("H")) for (const line of table) context.out(line.join("\t"));
  else if (table.length > 0) printTable(context, columns, table);
  else if (complaints.length === 0) context.out("no datasets available");
  if (complaints.length > 0) throw new CommandFailure(complaints.join("\n"));
}

function columnName(text: string): string {
  const name = aliases[text] ?? text;
  if (name !== "name" && !natives[name] && !isUserProperty(name)) {
    throw new CommandFailure(`bad property list: invalid property '${text}'\nusage:\n\tlist`, 2);
  }
  return name;
}

function cell(
  context: Context,
  dataset: Dataset,
  { column, exact }: { column: string; exact: boolean },
): string {
  if (column === "name") return dataset.name;
  const property = propertyOf(context, dataset, column);
  return property ? shown(property, exact) : "-";
}

/** A printed value: sizes have a unit except with exact numbers (-p); no limit is `none`. */
export function shown({ value, isSize }: { value: string; isSize?: boolean }, exact: boolean): string {
  if (!isSize || exact) return value;
  return value === "0" ? "none" : niceSize(Number(value));
}

function printTable(context: Context, columns: readonly string[], table: readonly string[][]): void {
  const all = [columns.map((column) => headings[column] ?? column.toUpperCase()), ...table];
  const widths = columns.map((_, index) => Math.max(...all.map((line) => line[index]?.length ?? 0)));
  for (const line of all) {
    context.out(
      line
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}
