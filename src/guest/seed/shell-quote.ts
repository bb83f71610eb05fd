import { SolsticeError } from "../../core/errors.ts";

/**
 * Quotes `text` as one word of POSIX shell, without any expansion. Throws `usage` for a NUL, which a shell cannot
 * store.
 */
export function shellQuote(text: string): string {
  if (text.includes("\0")) throw new SolsticeError("usage", "A NUL character cannot be passed to a shell.");
  return `'${text.replaceAll("'", "'\\''")}'`;
}
