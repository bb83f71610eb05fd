import type { Output } from "../context.ts";

/** One line about something that goes on. */
export interface StatusLine {
  /**
   * On a terminal the text takes the place of the one before. Elsewhere it is written as a line of its own, and only when `key`
   * differs from the last one's.
   */
  show(text: string, key: string): void;
  /** Removes the line from a terminal, so that something else can be written there. */
  clear(): void;
}

const removeLine = "\r\u001b[K";

/** Where no width is known. */
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
