/** What a JSON document may hold before it is parsed. */
export interface JsonBounds {
  /** Lists and maps within one another. */
  readonly depth: number;
  /** Lists, maps, and commas and colons in them: about how many values a parser makes. */
  readonly marks: number;
}

/** Bounds of a job request, which is the largest document that a person or program sends. */
export const requestJsonBounds: JsonBounds = { depth: 32, marks: 50_000 };

/** The longest number in quotes: making an integer of it costs the square of its length. */
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
 * Why a document in JSON is not parsed, in words that follow "it"; null where it may be. A parser, and whatever turns its
 * result into messages, costs far more than this one look at the bytes. Whether it is JSON at all is not judged.
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
    if (depth > bounds.depth) return `has more than ${bounds.depth} lists and maps within one another`;
    if (marks > bounds.marks) return `has more than ${bounds.marks} values`;
  }
  return null;
}

/** Where a text that begins at `start` has its quote; the end of the document where it has none. */
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
