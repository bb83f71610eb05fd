import Table from "cli-table3";
import type { Output } from "../context.ts";

/** A table for people. Cells may contain colours, but no other control characters. */
export interface TableContent {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns (by index) that may be cut when the terminal is too narrow. Other columns are never cut. */
  readonly flexible?: readonly number[];
  /** Columns that people copy from, such as ids: never broken into lines, also in a block on a narrow terminal. */
  readonly whole?: readonly number[];
  /** True: a text that is too long for its column is wrapped. False: it is cut. */
  readonly isWrapped?: boolean;
}

const gap = 2;
const narrowestColumn = 6;

const noBorders = {
  ...{ top: "", "top-mid": "", "top-left": "", "top-right": "" },
  ...{ bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
  ...{ left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "" },
};

/**
 * The table as text, no wider than the terminal; for a pipe in full width. On a terminal that is too narrow for the columns,
 * each row becomes a block with lines for each column, and no text is cut.
 */
export function tableText(content: TableContent, output: Output): string {
  const available = output.isTTY ? output.columns : undefined;
  const widths = fit(content, available);
  if (widths === null) return blocksText(content, available ?? 0);
  const rows = [content.head, ...content.rows];
  return linesText(rows, { widths, isWrapped: content.isWrapped ?? false });
}

function linesText(
  rows: readonly (readonly string[])[],
  { widths, isWrapped, isBlock = false }: { widths: number[]; isWrapped: boolean; isBlock?: boolean },
): string {
  const wrap = { wordWrap: isWrapped, wrapOnWordBoundary: !isBlock };
  const table = new Table({ ...plainStyle, ...wrap, colWidths: widths });
  table.push(...rows.map((row) => [...row]));
  const lines = table.toString().split("\n");
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

const plainStyle = {
  chars: noBorders,
  style: { "padding-left": 0, "padding-right": gap, head: [], border: [] },
};

/** Each row as lines of title and cell, with an empty line between two rows. Long cells are wrapped. */
function blocksText({ head, rows, whole = [] }: TableContent, available: number): string {
  const titleWidth = Math.max(...head.map((title) => title.length)) + gap;
  const blocks = rows.map((row) =>
    head
      .map((title, column) => {
        const room = Math.max(available + gap - titleWidth, narrowestColumn);
        const cell = row[column] ?? "";
        const width = whole.includes(column) ? Math.max(widthOf([cell]), room) : room;
        return linesText([[title, cell]], { widths: [titleWidth, width], isWrapped: true, isBlock: true });
      })
      .join(""),
  );
  return blocks.join("\n");
}

/** The width of the widest cell. The table library measures it, because it handles colours and wide letters. */
function widthOf(cells: readonly string[]): number {
  const single = new Table(plainStyle);
  single.push(...cells.map((cell) => [cell]));
  return single.width;
}

/**
 * The widths of the columns: the widest flexible column shrinks by one until the table fits. Null when the terminal is too
 * narrow for that.
 */
function fit({ head, rows, flexible = [] }: TableContent, available?: number): number[] | null {
  const widths = head.map((title, column) => widthOf([title, ...rows.map((row) => row[column] ?? "")]));
  if (available === undefined) return widths;
  let excess = widths.reduce((sum, width) => sum + width, 0) - gap - available;
  while (excess > 0) {
    const column = widest(widths, flexible);
    if (column === undefined) return null;
    widths[column] = (widths[column] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}

function widest(widths: readonly number[], columns: readonly number[]): number | undefined {
  const shrinkable = columns.filter((column) => (widths[column] ?? 0) > narrowestColumn);
  return shrinkable.toSorted((one, other) => (widths[other] ?? 0) - (widths[one] ?? 0))[0];
}
