import type { Output } from "../context.ts";

/** One line about work in progress. */
export interface StatusLine {
  /**
   * On a terminal the text replaces the previous text. On other outputs the text becomes a new line, and only when `key`
   * differs from the previous key.
   */
  show(text: string, key: string): void;
  /** Removes the line from a terminal, to make room for other output. */
  clear(): void;
}

const removeLine = "\r\u001b[K";

/** Width of a terminal that reports no width. */
const usualColumns = 80;

/** A status line on `output`. Its texts must be free of control characters. */
export function createStatusLine(output: Output): StatusLine {
  let lastKey: string | null = null;
  let isShown = false;
  return {
    show(text, key) {
      if (output.isTTY) output.write(`${removeLine}${text.slice(0, (output.columns ?? usualColumns) - 1)}`);
      else if (key !== lastKey) output.write(`${text}\n`);
      lastKey = key;
      isShown = true;
    },
    clear() {
      if (isShown && output.isTTY) output.write(removeLine);
      isShown = false;
    },
  };
}
