import { SolsticeError } from "../../../core/errors.ts";

/** Longest value that is written: the limit of an attribute of type string (zonecfg(8)). */
const maxValueChars = 255;

/**
 * Quotes a value for zonecfg's language (zonecfg(8)). Within the quotation marks, every character except a quotation
 * mark and an end of line stands for itself. There is no escape, so a value with one of those two, or with any other
 * control character, throws `hypervisor_failed`.
 */
export function quoteValue(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is refused
  if (/["\u0000-\u001f\u007f]/.test(value) || value.length > maxValueChars) {
    throw new SolsticeError(
      "hypervisor_failed",
      `${JSON.stringify(value.slice(0, 100))} cannot be written in a zone's configuration.`,
      {
        remedy: "Use short paths and names without quotation marks, line ends and other control characters.",
      },
    );
  }
  return `"${value}"`;
}

/**
 * Checks a path for bhyve's arguments, which the brand builds from an attribute: a comma would begin an option, and a
 * space a new argument. Throws `hypervisor_failed`.
 */
export function bhyvePath(path: string): string {
  if (/^\/[A-Za-z0-9._/-]+$/.test(path)) return path;
  throw new SolsticeError("hypervisor_failed", `${JSON.stringify(path)} cannot be passed to bhyve.`, {
    remedy:
      "Use a data directory whose path has only letters, digits, dots, dashes, underscores and slashes.",
  });
}
