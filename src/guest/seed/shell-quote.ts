import { SolsticeError } from "../../core/errors.ts";

/** `text` as one word of POSIX shell that no shell expands. Throws `usage` for a NUL, which no shell can hold. */
export function shellQuote(text: string): string {
  if (text.includes("\0")) throw new SolsticeError("usage", "A NUL character cannot be given to a shell.");
  return `'${text.replaceAll("'", "'\\''")}'`;
}
