import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { ChecksumAlgorithm, ImageChecksum, ImageDefinition } from "../../core/image-map/image-map.ts";
import type { FileDigests } from "../image-facts.ts";
import type { PreparationContext } from "../types.ts";

/** The digest that a file must have, and its origin. */
export interface WantedDigest {
  readonly algorithm: ChecksumAlgorithm;
  readonly hex: string;
  /** Origin for a message: `the map`, or the checksum file. */
  readonly origin: string;
  /** {@link listKey} of the checksum file. */
  readonly listKey?: string;
}

/** Recorded facts about a file that may already match a checksum. */
type RecordedFacts = FileDigests & { readonly listKey?: string | undefined };

/** Identifies a checksum file in records on disk: its URL may contain a password, which must not be stored. */
export function listKey(location: string): string {
  return createHash("sha256").update(location).digest("hex");
}

/** True when a file's recorded facts match this checksum, as far as known without a request. */
export function isProven(recorded: RecordedFacts, checksum: ImageChecksum | null): boolean {
  if (checksum === null) return true;
  if (checksum.kind === "list") return recorded.listKey === listKey(checksum.location);
  return digestBy(recorded, checksum.algorithm) === checksum.hex;
}

/** Returns a file's digest of one kind; undefined when it was not computed. */
export function digestBy(digests: FileDigests, algorithm: ChecksumAlgorithm): string | undefined {
  return algorithm === "sha256" ? digests.digest : digests.sha512;
}

/**
 * Describes a wrong digest, to follow the file's name: `has SHA-256 …, and the map says …`; null when the digest is
 * right.
 */
export function digestMismatch(digests: FileDigests, wanted: WantedDigest | null): string | null {
  if (wanted === null) return null;
  const have = digestBy(digests, wanted.algorithm);
  if (have === wanted.hex) return null;
  const kind = wanted.algorithm === "sha256" ? "SHA-256" : "SHA-512";
  return `has ${kind} ${have}, and ${wanted.origin} says ${wanted.hex}`;
}

/** Returns the required digest of the published image file, or null. Fetches the checksum file if the map names one. */
export async function wantedDigest(
  { checksum, source, localPath }: Pick<ImageDefinition, "checksum" | "source" | "localPath">,
  context: Pick<PreparationContext, "limits" | "signal">,
): Promise<WantedDigest | null> {
  if (checksum === null) return null;
  if (checksum.kind === "digest") return { ...checksum, origin: "the map" };
  // Loaded only here: the HTTP client needs some 5 MB of memory.
  const { readListedDigest } = await import("./read-list.ts");
  const found = await readListedDigest(checksum.location, publishedName(source ?? localPath), context);
  return { ...found, listKey: listKey(checksum.location) };
}

/** Returns the publisher's name of the file: the last part of a URL's path, or of a path. */
function publishedName(source: string): string {
  const path = URL.parse(source)?.pathname ?? source;
  try {
    return basename(decodeURIComponent(path));
  } catch {
    return basename(path);
  }
}
