import type { Envelope } from "rabbitmq-client";

/** The longest frame that is sent, in bytes: what every server takes. All properties of a message have to fit in one. */
export const frameBytesMax = 8192;

/** Type, channel, length, class, body's size and flags, the other properties' lengths, and the end. */
const frameBytes = 64;

/** The longest encoding of a number or a time in a table. */
const numberBytes = 9;

/** A type's letter with a length. */
const prefixBytes = 5;

/** How many bytes the properties of a message take as a frame, at most: the encoding of a number is not known exactly. */
export function propertiesBytes(envelope: Envelope): number {
  const { exchange: _exchange, routingKey: _key, headers, ...properties } = envelope;
  return frameBytes + valueBytes(properties) + valueBytes(headers ?? {});
}

/** How many bytes a value takes in a table, at most. */
export function valueBytes(value: unknown): number {
  if (typeof value === "string") return prefixBytes + Buffer.byteLength(value);
  if (value instanceof Uint8Array) return prefixBytes + value.byteLength;
  if (typeof value !== "object" || value === null || value instanceof Date) return numberBytes;
  const inner = Object.entries(value).map(([name, one]) => 1 + Buffer.byteLength(name) + valueBytes(one));
  return inner.reduce((sum, bytes) => sum + bytes, prefixBytes);
}

/** The headers that fit in `bytes`, the shortest first, and the names of the others. */
export function fittingHeaders(
  headers: Readonly<Record<string, unknown>>,
  bytes: number,
): { readonly kept: Record<string, unknown>; readonly leftOut: readonly string[] } {
  const sized = Object.entries(headers).map(([name, value]) => {
    return { name, value, bytes: 1 + Buffer.byteLength(name) + valueBytes(value) };
  });
  let left = bytes;
  const fits = new Set<string>();
  for (const header of sized.toSorted((one, other) => one.bytes - other.bytes)) {
    left -= header.bytes;
    if (left >= 0) fits.add(header.name);
  }
  const kept = sized.filter(({ name }) => fits.has(name)).map(({ name, value }) => [name, value] as const);
  const leftOut = sized.map(({ name }) => name).filter((name) => !fits.has(name));
  return { kept: Object.fromEntries(kept), leftOut };
}
