import { SolsticeError } from "../../../core/errors.ts";

/** The longest value that is written: an attribute of type string may not be longer (zonecfg(8)). */
const maxValueChars = 255;

/**
 * A value in zonecfg's language (zonecfg(8)). Always in quotation marks, within which everything but a quotation mark and an
 * end of line stands for itself: there is no escape, so a value with one of those cannot be said, and is refused, as is any
 * other control character. Throws `hypervisor_failed`.
 */
export function quoteValue(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is refused
  if (/["\u0000-\u001f\u007f]/.test(value) || value.length > maxValueChars) {
    throw new SolsticeError(
      "hypervisor_failed",
      `${JSON.stringify(value.slice(0, 100))} cannot stand in a zone's configuration.`,
      {
        remedy: "Use short paths and names without quotation marks, line ends and other control characters.",
      },
    );
  }
  return `"${value}"`;
}

/**
 * A path that goes into bhyve's arguments, which the brand makes of an attribute: a comma would begin an option there, and a
 * space a new argument. Throws `hypervisor_failed`.
 */
export function bhyvePath(path: string): string {
  if (/^\/[A-Za-z0-9._/-]+$/.test(path)) return path;
  throw new SolsticeError("hypervisor_failed", `${JSON.stringify(path)} cannot be handed to bhyve.`, {
    remedy:
      "Use a data directory whose path has only letters, digits, dots, dashes, underscores and slashes.",
  });
}
