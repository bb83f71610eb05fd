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
 * Returns the image when it is at its path and usable; null when it must be fetched: it is missing, or was fetched for
 * another checksum of the map. Throws `image_invalid` for an operator's file that does not match the map, because a
 * file of the operator is never overwritten. Fast, except for an operator's file whose checksum has not been compared
 * yet.
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

/** True when the operator's file at `localPath` can have the checksum: only a file in its published form can. */
export function hasComparableChecksum({ checksum, decompress }: ImageDefinition): boolean {
  return checksum !== null && decompress === "none";
}

/** Returns the SHA-256 of the image, if known; for an operator's file, after comparing it with the checksum of the map. */
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
  return `Remove ${path} (the image is then fetched), or correct the map.`;
}

/** Computes and records the digests of an operator's file, and the checksum file that it matches. */
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
