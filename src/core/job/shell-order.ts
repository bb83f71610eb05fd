import { SolsticeError } from "../errors.ts";

/** The largest accepted window, in rows or columns. */
const windowMax = 1000;

/** The window when the caller does not give its size. */
const usualWindow = { rows: 24, columns: 80 };

/** A window of a terminal, in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** An order to open a shell in a guest on hold. */
export interface ShellOrder extends WindowSize {
  /** A new number for each shell; at most 32 bits. */
  readonly number: number;
  /** The kind of terminal, as in TERM. */
  readonly term: string;
  /** `plain`: commands come through a pipe, without echo or prompt. */
  readonly mode: "terminal" | "plain";
}

/** The order in the runner's format: words that need no quoting anywhere. */
export function shellOrderText({ number, term, rows, columns, mode }: ShellOrder): string {
  return `${number} ${term} ${rows} ${columns} ${mode}`;
}

/** A caller's TERM; an empty one is `dumb`. Throws `usage` for a text that is not the name of a terminal. */
export function parseTerm(text: string): string {
  if (text === "") return "dumb";
  if (/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/.test(text)) return text;
  throw new SolsticeError("usage", "term must be the name of a terminal, such as xterm-256color.");
}

/** A caller's window; 0 for an unknown size. Throws `usage` for an impossible size. */
export function parseWindow(size: WindowSize | undefined): WindowSize {
  const { rows = 0, columns = 0 } = size ?? {};
  if (rows > windowMax || columns > windowMax) {
    throw new SolsticeError("usage", `A window has at most ${windowMax} rows and columns.`);
  }
  return { rows: rows || usualWindow.rows, columns: columns || usualWindow.columns };
}

/** A shell writes this mark when it is ready for input: earlier input would be lost, or echoed twice. */
export function shellBeginMark(number: number): string {
  return `\u001b_solstice-shell ${number} begun\u001b\\`;
}

/**
 * A shell writes this mark after its last output. Terminals do not show it, and a person cannot type it by accident.
 */
export function shellEndMark(number: number, exitCode: number): string {
  return `\u001b_solstice-shell ${number} ended ${exitCode}\u001b\\`;
}
