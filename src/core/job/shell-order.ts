import { SolsticeError } from "../errors.ts";

/** The largest window that is believed, in rows or columns. */
const windowMax = 1000;

/** A window of a size that nobody knows. */
const usualWindow = { rows: 24, columns: 80 };

/** A window of a terminal, in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** A shell that is wanted in a guest on hold. */
export interface ShellOrder extends WindowSize {
  /** A new one for each shell; at most 32 bits. */
  readonly number: number;
  /** The kind of terminal, as in TERM. */
  readonly term: string;
  /** `plain`: commands come through a pipe, and nothing is echoed or prompted for. */
  readonly mode: "terminal" | "plain";
}

/** The order as a runner reads it: words that need no quoting anywhere. */
export function shellOrderText({ number, term, rows, columns, mode }: ShellOrder): string {
  return `${number} ${term} ${rows} ${columns} ${mode}`;
}

/** A caller's TERM; an empty one is `dumb`. Throws `usage` for what is no name of a terminal. */
export function parseTerm(text: string): string {
  if (text === "") return "dumb";
  if (/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/.test(text)) return text;
  throw new SolsticeError("usage", "term must be the name of a terminal, such as xterm-256color.");
}

/** A caller's window; 0 where it is not known. Throws `usage` for what no window is. */
export function parseWindow(size: WindowSize | undefined): WindowSize {
  const { rows = 0, columns = 0 } = size ?? {};
  if (rows > windowMax || columns > windowMax) {
    throw new SolsticeError("usage", `A window has at most ${windowMax} rows and columns.`);
  }
  return { rows: rows || usualWindow.rows, columns: columns || usualWindow.columns };
}

/** What a shell that is ready for input writes first: what came before it would have been lost, or echoed twice. */
export function shellBeginMark(number: number): string {
  return `\u001b_solstice-shell ${number} begun\u001b\\`;
}

/** What a shell that ended writes at the end of its output: terminals show nothing of it, and nobody types it. */
export function shellEndMark(number: number, exitCode: number): string {
  return `\u001b_solstice-shell ${number} ended ${exitCode}\u001b\\`;
}
