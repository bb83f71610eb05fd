/** The parts of a terminal's sequences according to ECMA-48: sources of regular expressions. */
export const sequenceParts = {
  escape: "\\u001b",
  /** Characters of a control sequence between its introducer and its last character. */
  parameter: "[0-?]",
  /** Characters between those and the last character; also in shorter escape sequences. */
  intermediate: "[ -/]",
  /** The last character of a control sequence. */
  controlEnd: "[@-~]",
  /** The last character of a shorter escape sequence. */
  escapeEnd: "[0-~]",
  /** After an escape: begins a control sequence. */
  opensControl: "\\[",
  /** After an escape: opens a string that a terminal takes as a whole (OSC, DCS, SOS, PM, APC). */
  opensString: "[\\]PX^_]",
  /** After an escape: changes only the next character. */
  shiftsOne: "[NO]",
} as const;

const {
  escape: esc,
  parameter,
  intermediate,
  controlEnd,
  escapeEnd,
  opensControl,
  opensString,
} = sequenceParts;

/** The same openings as single 8-bit control characters. */
const control8 = "\\u009b";
const string8 = "\\u009d\\u0090\\u0098\\u009e\\u009f";

/** Ends a string. */
const stringEnd = `(?:\\u0007|${esc}\\\\|\\u009c)`;

/**
 * A terminal's sequences, then what is left of broken ones. No class of characters here contains the character that
 * begins the next sequence, and no two neighbouring classes share a character, so the time is linear for any text.
 * (Node's `stripVTControlCharacters` takes 14 s for 256 KiB of semicolons.)
 */
const sequences = new RegExp(
  [
    `(?:${esc}${opensControl}|${control8})${parameter}*${intermediate}*${controlEnd}`,
    `(?:${esc}${opensString}|[${string8}])[^\\u0007\\u001b\\u009c\\r\\n]*${stringEnd}`,
    `${esc}${intermediate}*${escapeEnd}`,
    `[${esc}\\u0090\\u0098\\u009b-\\u009f]`,
  ].join("|"),
  "g",
);

/** The text without a terminal's control sequences, in time linear in its length. */
export function withoutTerminalSequences(text: string): string {
  return text.replace(sequences, "");
}
