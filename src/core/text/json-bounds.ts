/** Limits that a JSON document must satisfy before it is parsed. */
export interface JsonBounds {
  /** Nesting of lists and maps. */
  readonly depth: number;
  /** Lists, maps, and the commas and colons in them: about the number of values that a parser creates. */
  readonly marks: number;
}

/** Limits of a job request, the largest document that a person or program sends. */
export const requestJsonBounds: JsonBounds = { depth: 32, marks: 50_000 };

/** The longest number in quotes: its conversion to an integer costs the square of its length. */
const digitsMax = 1000;

const [quote, backslash, minus, zero, nine] = [...`"\\-09`].map((each) => each.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
];
const opening = new Set([..."[{"].map((each) => each.charCodeAt(0)));
const closing = new Set([..."]}"].map((each) => each.charCodeAt(0)));
const separating = new Set([...",:"].map((each) => each.charCodeAt(0)));

/**
 * The reason why a JSON document is not parsed, in words that follow "it"; null when it may be parsed. A parser, and
 * code that turns its result into messages, costs far more than this one pass over the bytes. Does not check that the
 * document is JSON.
 */
export function jsonProblem(document: Uint8Array, bounds: JsonBounds): string | null {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  let [depth, marks] = [0, 0];
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) {
      const end = endOfText(bytes, at + 1);
      if (end - at > digitsMax && isNumber(bytes.subarray(at + 1, end)))
        return `has a number of more than ${digitsMax} digits`;
      at = end;
    } else if (opening.has(byte)) {
      depth += 1;
      marks += 1;
    } else if (closing.has(byte)) depth -= 1;
    else if (separating.has(byte)) marks += 1;
    if (depth > bounds.depth) return `has more than ${bounds.depth} nested lists and maps`;
    if (marks > bounds.marks) return `has more than ${bounds.marks} values`;
  }
  return null;
}

/** Index of the closing quote of the text that begins at `start`; the end of the document without one. */
function endOfText(bytes: Buffer, start: number): number {
  let from = start;
  for (;;) {
    const end = bytes.indexOf(quote, from);
    if (end < 0) return bytes.length;
    let slashes = 0;
    while (end - slashes > start && bytes[end - slashes - 1] === backslash) slashes += 1;
    if (slashes % 2 === 0) return end;
    from = end + 1;
  }
}

function isNumber(text: Buffer): boolean {
  const digits = text[0] === minus ? text.subarray(1) : text;
  return digits.every((byte) => byte >= zero && byte <= nine);
}
