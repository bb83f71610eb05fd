import Table from "cli-table3";
import type { Output } from "./context.ts";

/** A table for people. Cells may hold colours, and must be free of other control characters. */
export interface TableContent {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns (by index) that give way first when the terminal is too narrow. */
  readonly flexible?: readonly number[];
  /** Whether a cell that is too narrow goes on in further lines; else it is cut. */
  readonly isWrapped?: boolean;
}

const gap = 2;
const narrowestColumn = 6;

const noBorders = {
  ...{ top: "", "top-mid": "", "top-left": "", "top-right": "" },
  ...{ bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
  ...{ left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "" },
};

/** The table as text, no wider than the terminal; a pipe gets it whole. */
export function tableText(content: TableContent, output: Output): string {
  const widths = fit(
    naturalWidths(content),
    content.flexible ?? [],
    output.isTTY ? output.columns : undefined,
  );
  const table = new Table({
    head: [...content.head],
    chars: noBorders,
    colWidths: widths,
    wordWrap: content.isWrapped ?? false,
    style: { "padding-left": 0, "padding-right": gap, head: [], border: [] },
  });
  table.push(...content.rows.map((row) => [...row]));
  const lines = table.toString().split("\n");
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** As wide as the widest cell; the table itself measures it, because it knows of colours and wide letters. */
function naturalWidths({ head, rows }: TableContent): number[] {
  return head.map((title, column) => {
    const single = new Table({ chars: noBorders, style: { "padding-left": 0, "padding-right": gap } });
    single.push([title], ...rows.map((row) => [row[column] ?? ""]));
    return single.width;
  });
}

/** Takes what is too much from the widest flexible column, again and again, then from any column. */
function fit(widths: number[], flexible: readonly number[], available: number | undefined): number[] {
  if (available === undefined) return widths;
  const fitted = [...widths];
  const all = fitted.map((_, column) => column);
  let excess = fitted.reduce((sum, width) => sum + width, 0) - available;
  while (excess > 0) {
    const column = widest(fitted, flexible) ?? widest(fitted, all);
    if (column === undefined) break;
    fitted[column] = (fitted[column] ?? 0) - 1;
    excess -= 1;
  }
  return fitted;
}

function widest(widths: readonly number[], columns: readonly number[]): number | undefined {
  const shrinkable = columns.filter((column) => (widths[column] ?? 0) > narrowestColumn);
  return shrinkable.toSorted((one, other) => (widths[other] ?? 0) - (widths[one] ?? 0))[0];
}
