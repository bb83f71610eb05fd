import { type CacheCompression, cacheCompressions } from "../../core/cache/archive.ts";
import { SolsticeError } from "../../core/errors.ts";

/** What the upload of an entry's bytes says of them. */
export interface CacheUpload {
  readonly index: number;
  readonly key: string;
  readonly compression: CacheCompression;
  readonly firstPartBytes: number;
}

/** The name that the upload of an entry has. The guest gets it from us and gives it back, so it is read with suspicion. */
export function uploadNameOf({ index, key, compression, firstPartBytes }: CacheUpload): string {
  return `${index} ${compression} ${firstPartBytes} ${key}`;
}

/** What {@link uploadNameOf} made a name of; null for any other name. */
export function parseUploadName(name: string): CacheUpload | null {
  const match = /^(\d{1,3}) (\w+) (\d{1,15}) (\S+)$/.exec(name);
  const compression = cacheCompressions.find((known) => known === match?.[2]);
  if (!match || compression === undefined) return null;
  return { index: Number(match[1]), compression, firstPartBytes: Number(match[3]), key: match[4] ?? "" };
}

/** A compression as the wire has it. Throws `usage`. */
export function parseCompression(text: string): CacheCompression {
  const compression = cacheCompressions.find((known) => known === text);
  if (compression !== undefined) return compression;
  throw new SolsticeError("usage", `compression must be one of ${cacheCompressions.join(", ")}.`);
}
