import { withoutTrailing } from "../text/text-ends.ts";

/** Editors put this before a text; a shell would read it as a part of the first command. */
const byteOrderMark = "\ufeff";

/**
 * A script in the form for a shell: without a byte order mark, and with Unix line ends if its first line has a Windows
 * line end. Otherwise carriage returns stay, since they are intended. Idempotent.
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
