import { type CacheCompression, cacheCompressions } from "../../core/cache/archive.ts";
import { SolsticeError } from "../../core/errors.ts";

/** The data in the name of an entry's upload. */
export interface CacheUpload {
  readonly index: number;
  readonly key: string;
  readonly compression: CacheCompression;
  readonly firstPartBytes: number;
}

/**
 * Makes the name of an entry's upload. The guest receives the name and sends it back, so it is parsed as
 * untrusted input.
 */
export function uploadNameOf({ index, key, compression, firstPartBytes }: CacheUpload): string {
  return `${index} ${compression} ${firstPartBytes} ${key}`;
}

/** Parses a name of {@link uploadNameOf}; null for any other name. */
export function parseUploadName(name: string): CacheUpload | null {
  const match = /^(\d{1,3}) (\w+) (\d{1,15}) (\S+)$/.exec(name);
  const compression = cacheCompressions.find((candidate) => candidate === match?.[2]);
  if (!match || compression === undefined) return null;
  return { index: Number(match[1]), compression, firstPartBytes: Number(match[3]), key: match[4] ?? "" };
}

/** Parses a compression from the wire. Throws `usage`. */
export function parseCompression(text: string): CacheCompression {
  const compression = cacheCompressions.find((candidate) => candidate === text);
  if (compression !== undefined) return compression;
  throw new SolsticeError("usage", `compression must be one of ${cacheCompressions.join(", ")}.`);
}
