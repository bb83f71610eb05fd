import { withoutTrailing } from "../text/text-ends.ts";

/** What editors put before a text; a shell takes it for a part of the first command. */
const byteOrderMark = "\ufeff";

/**
 * A script as a shell reads it: without a byte order mark, and where its first line ends as lines do on Windows, with the line
 * ends of Unix. Otherwise a carriage return stays, since somebody has put it there. Idempotent.
 */
export function inUnixForm(script: string): string {
  let start = 0;
  while (script.startsWith(byteOrderMark, start)) start += byteOrderMark.length;
  const text = script.slice(start);
  const firstEnd = text.indexOf("\n");
  if (firstEnd === -1 ? !text.endsWith("\r") : text[firstEnd - 1] !== "\r") return text;
  return text
    .split("\n")
    .map((line) => withoutTrailing(line, "\r"))
    .join("\n");
}
