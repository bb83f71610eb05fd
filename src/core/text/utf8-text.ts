/** The text of some bytes (a byte order mark stays), or the number of the first line that is not UTF-8, from 1. */
export type Utf8Reading = { readonly text: string } | { readonly wrongLine: number };

/** Decodes UTF-8 without replacements: a changed script would do something that its author did not write. */
export function readUtf8(bytes: Uint8Array): Utf8Reading {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { wrongLine: lineOf(bytes, firstDifference(bytes)) };
  }
}

/** Offset of the first byte that differs after decoding with replacements and encoding again. */
function firstDifference(bytes: Uint8Array): number {
  const replaced = new TextEncoder().encode(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
  const at = bytes.findIndex((byte, index) => byte !== replaced[index]);
  return at < 0 ? bytes.length : at;
}

function lineOf(bytes: Uint8Array, offset: number): number {
  return bytes.subarray(0, offset).reduce((lines, byte) => lines + (byte === 0x0a ? 1 : 0), 1);
}
