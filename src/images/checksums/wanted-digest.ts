import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { ChecksumAlgorithm, ImageChecksum, ImageDefinition } from "../../core/image-map/image-map.ts";
import type { FileDigests } from "../image-facts.ts";
import type { PreparationContext } from "../types.ts";

/** The digest that a file must have, and who says so. */
export interface WantedDigest {
  readonly algorithm: ChecksumAlgorithm;
  readonly hex: string;
  /** For a message: `the map`, or the file of checksums. */
  readonly saidBy: string;
  /** {@link listKey} of that file. */
  readonly listKey?: string;
}

/** What was found out about a file that may already be what a checksum asks for. */
type Known = FileDigests & { readonly listKey?: string | undefined };

/** Identifies a file of checksums in what is kept on disk: its URL may hold a password, which does not belong there. */
export function listKey(location: string): string {
  return createHash("sha256").update(location).digest("hex");
}

/** Whether a file of which `known` is known is right by this checksum, as far as that can be said without a request. */
export function isProven(known: Known, checksum: ImageChecksum | null): boolean {
  if (checksum === null) return true;
  if (checksum.kind === "list") return known.listKey === listKey(checksum.location);
  return digestBy(known, checksum.algorithm) === checksum.hex;
}

/** A file's digest of one kind; undefined where it was not computed. */
export function digestBy(digests: FileDigests, algorithm: ChecksumAlgorithm): string | undefined {
  return algorithm === "sha256" ? digests.digest : digests.sha512;
}

/** What is wrong with a file, to follow its name: `has SHA-256 …, and the map says …`; null when nothing is. */
export function digestMismatch(digests: FileDigests, wanted: WantedDigest | null): string | null {
  if (wanted === null) return null;
  const have = digestBy(digests, wanted.algorithm);
  if (have === wanted.hex) return null;
  const kind = wanted.algorithm === "sha256" ? "SHA-256" : "SHA-512";
  return `has ${kind} ${have}, and ${wanted.saidBy} says ${wanted.hex}`;
}

/** What the published file of an image must be, or null. Fetches the file of checksums where the map names one. */
export async function wantedDigest(
  { checksum, source, localPath }: Pick<ImageDefinition, "checksum" | "source" | "localPath">,
  context: Pick<PreparationContext, "limits" | "signal">,
): Promise<WantedDigest | null> {
  if (checksum === null) return null;
  if (checksum.kind === "digest") return { ...checksum, saidBy: "the map" };
  // Loaded only here: the HTTP client takes some 5 MB.
  const { readListedDigest } = await import("./read-list.ts");
  const found = await readListedDigest(checksum.location, publishedName(source ?? localPath), context);
  return { ...found, listKey: listKey(checksum.location) };
}

/** The name of the file as its publisher has it: the end of a URL's path, or of a path. */
function publishedName(source: string): string {
  const path = URL.parse(source)?.pathname ?? source;
  try {
    return basename(decodeURIComponent(path));
  } catch {
    return basename(path);
  }
}
