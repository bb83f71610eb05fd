/**
 * A range of IPv4 addresses: its first address as a number, and the number of leading bits that its addresses share.
 */
export interface AddressRange {
  readonly first: number;
  readonly prefix: number;
}

const bits = 32;
const full = 2 ** bits;

/**
 * Parses `10.0.0.0/8`, or `10.1.2.3` for one address. Null for anything else, also when bits after the prefix are set.
 */
export function parseRange(text: string): AddressRange | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text);
  if (!match) return null;
  const bytes = match.slice(1, 5).map(Number);
  const prefix = match[5] === undefined ? bits : Number(match[5]);
  if (bytes.some((byte) => byte > 255) || prefix > bits) return null;
  const first = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return first % sizeOf(prefix) === 0 ? { first, prefix } : null;
}

/** Formats a range as {@link parseRange} reads it; a single address has no prefix. */
export function rangeText({ first, prefix }: AddressRange): string {
  const address = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join(".");
  return prefix === bits ? address : `${address}/${prefix}`;
}

/** The range with this prefix length that contains `address`; null when either is invalid. */
export function rangeAround(address: string, prefix: number): AddressRange | null {
  const one = parseRange(address);
  if (one === null || one.prefix !== bits || prefix < 0 || prefix > bits) return null;
  return { first: one.first - (one.first % sizeOf(prefix)), prefix };
}

/** True when `outer` contains all of `inner`. */
export function isWithin(inner: AddressRange, outer: AddressRange): boolean {
  return inner.prefix >= outer.prefix && inner.first - (inner.first % sizeOf(outer.prefix)) === outer.first;
}

/** The ranges in order, without those that another one contains. Two ranges never overlap only in part. */
export function distinctRanges(ranges: readonly AddressRange[]): AddressRange[] {
  const widestFirst = [...ranges].sort((a, b) => a.prefix - b.prefix || a.first - b.first);
  const kept: AddressRange[] = [];
  for (const range of widestFirst) if (!kept.some((wider) => isWithin(range, wider))) kept.push(range);
  return kept.sort((a, b) => a.first - b.first);
}

function sizeOf(prefix: number): number {
  return full / 2 ** prefix;
}
