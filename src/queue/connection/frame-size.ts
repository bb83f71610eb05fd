import type { Envelope } from "rabbitmq-client";

/**
 * The longest frame that is sent, in bytes: every server accepts this size. All properties of a message must fit in
 * one.
 */
export const frameBytesMax = 8192;

/** Bytes of type, channel, length, class, body size and flags, the lengths of the other properties, and the end. */
const frameBytes = 64;

/** Bytes of the longest encoding of a number or a time in a table. */
const numberBytes = 9;

/** Bytes of a type letter and a length. */
const prefixBytes = 5;

/**
 * Largest number of bytes that a message's properties take in a frame; the exact encoding of numbers is not
 * predictable.
 */
export function propertiesBytes(envelope: Envelope): number {
  const { exchange: _exchange, routingKey: _key, headers, ...properties } = envelope;
  return frameBytes + valueBytes(properties) + valueBytes(headers ?? {});
}

/** Largest number of bytes that a value takes in a table. */
export function valueBytes(value: unknown): number {
  if (typeof value === "string") return prefixBytes + Buffer.byteLength(value);
  if (value instanceof Uint8Array) return prefixBytes + value.byteLength;
  if (typeof value !== "object" || value === null || value instanceof Date) return numberBytes;
  const inner = Object.entries(value).map(([name, one]) => 1 + Buffer.byteLength(name) + valueBytes(one));
  return inner.reduce((sum, bytes) => sum + bytes, prefixBytes);
}

/** Returns the headers that fit in `bytes`, the shortest first, and the names of the others. */
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
