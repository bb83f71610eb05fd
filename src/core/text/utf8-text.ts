/** The text in some bytes (a byte order mark stays), or the line in which they are no UTF-8; from 1. */
export type Utf8Reading = { readonly text: string } | { readonly wrongLine: number };

/** Reads bytes as UTF-8 without replacing anything: a text that was changed would do something else than what its author wrote. */
export function readUtf8(bytes: Uint8Array): Utf8Reading {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { wrongLine: lineOf(bytes, firstDifference(bytes)) };
  }
}

/** Where the bytes begin to differ from those of the text that a decoder that replaces makes of them. */
function firstDifference(bytes: Uint8Array): number {
  const replaced = new TextEncoder().encode(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
  const at = bytes.findIndex((byte, index) => byte !== replaced[index]);
  return at < 0 ? bytes.length : at;
}

function lineOf(bytes: Uint8Array, offset: number): number {
  return bytes.subarray(0, offset).reduce((lines, byte) => lines + (byte === 0x0a ? 1 : 0), 1);
}
