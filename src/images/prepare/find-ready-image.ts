import { stat } from "node:fs/promises";
import type { ImageDefinition } from "../../core/image-map/image-map.ts";
import {
  digestBy,
  digestMismatch,
  isProven,
  type WantedDigest,
  wantedDigest,
} from "../checksums/wanted-digest.ts";
import { imageInvalid } from "../errors.ts";
import { inspectImage } from "../formats/image-format.ts";
import { digestFile, type FileDigests, type ImageFacts, loadFacts, saveFacts } from "../image-facts.ts";
import type { PreparationContext, ReadyImage } from "../types.ts";

type LookContext = Pick<PreparationContext, "limits" | "signal" | "dataDir" | "report">;

/**
 * The image, when it is at its place and may be used; null when it must be fetched: it is missing, or it was fetched
 * when the map promised another checksum. Throws `image_invalid` for a file that was put there and is not what the map
 * says, because a file of the operator is never overwritten. Quick, except for a file put in place by hand with a checksum
 * that has not been compared yet.
 */
export async function findReadyImage(
  definition: ImageDefinition,
  context: LookContext,
): Promise<ReadyImage | null> {
  const path = definition.localPath;
  const found = await stat(path).catch(() => null);
  if (!found) return null;
  if (!found.isFile()) throw imageInvalid(`${path} is not a file.`, remedyOf(path));
  const facts = await loadFacts(definition, context.dataDir);
  if (facts?.digestOf === "published" && !isProven(facts, definition.checksum)) return null;
  const inspected = await inspectImage(path, {
    format: definition.format,
    maxVirtualSizeBytes: context.limits.virtualSizeBytes,
    isKnown: facts !== null,
  });
  const digest = await compareByHand(definition, facts, context);
  return { path, ...inspected, digest };
}

/** Whether the file at `localPath`, put there by hand, can have what the checksum is of: only as it was published. */
export function hasComparableChecksum({ checksum, decompress }: ImageDefinition): boolean {
  return checksum !== null && decompress === "none";
}

/** The SHA-256 of the image, where known; of a file put there by hand, after comparing it with the checksum of the map. */
async function compareByHand(
  definition: ImageDefinition,
  facts: ImageFacts | null,
  context: LookContext,
): Promise<string | null> {
  const isOurs = facts?.digestOf === "published";
  if (isOurs || !hasComparableChecksum(definition)) return facts?.digest ?? null;
  if (facts !== null && isProven(facts, definition.checksum)) return facts.digest;
  const wanted = await wantedDigest(definition, context);
  const known = facts !== null && wanted !== null && digestBy(facts, wanted.algorithm) !== undefined;
  const digests = known ? facts : await digestByHand(definition, context, wanted);
  const mismatch = digestMismatch(digests, wanted);
  if (mismatch === null) return digests.digest;
  throw imageInvalid(`${definition.localPath} ${mismatch}.`, remedyOf(definition.localPath));
}

function remedyOf(path: string): string {
  return `Remove ${path} (then it is fetched), or correct the map.`;
}

/** Computes and remembers the digests of an image that was put in place by hand, and by which list it is right. */
export async function digestByHand(
  definition: ImageDefinition,
  context: Pick<PreparationContext, "signal" | "dataDir" | "report">,
  wanted: WantedDigest | null,
): Promise<FileDigests> {
  const path = definition.localPath;
  const { size: totalBytes } = await stat(path);
  const digests = await digestFile(path, {
    signal: context.signal,
    withSha512: wanted?.algorithm === "sha512",
    onRead: (doneBytes) => context.report({ phase: "verifying", doneBytes, totalBytes }),
  });
  const isRight = wanted?.listKey !== undefined && digestBy(digests, wanted.algorithm) === wanted.hex;
  const proof = isRight ? { listKey: wanted.listKey } : {};
  await saveFacts(definition, context.dataDir, { path, digestOf: "file", ...digests, ...proof });
  return digests;
}
