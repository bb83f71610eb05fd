import { stat } from "node:fs/promises";
import type { ImageDefinition } from "../core/image-map.ts";
import { imageInvalid } from "./errors.ts";
import { digestFile, loadFacts, saveFacts } from "./image-facts.ts";
import { inspectImage } from "./image-format.ts";
import type { PreparationContext, ReadyImage } from "./types.ts";

/**
 * The image, when it is at its place and may be used; null when it must be fetched: it is missing, or it was fetched
 * when the map promised another checksum. Throws `image_invalid` for a file that was put there and is not what the map
 * says, because a file of the operator is never overwritten. Quick, except for a file with a `sha256` that has not been
 * compared yet.
 */
export async function findReadyImage(
  definition: ImageDefinition,
  context: Pick<PreparationContext, "limits" | "signal" | "dataDir" | "report">,
): Promise<ReadyImage | null> {
  const path = definition.localPath;
  const found = await stat(path).catch(() => null);
  if (!found) return null;
  const remedy = `Remove ${path} (then it is fetched), or correct the map.`;
  if (!found.isFile()) throw imageInvalid(`${path} is not a file.`, remedy);
  const facts = await loadFacts(definition, context.dataDir);
  const wanted = definition.sha256?.toLowerCase() ?? null;
  if (facts?.digestOf === "published" && wanted !== null && facts.digest !== wanted) return null;
  const inspected = await inspectImage(path, {
    format: definition.format,
    maxVirtualSizeBytes: context.limits.virtualSizeBytes,
    isKnown: facts !== null,
  });
  const mustCompare = facts === null && wanted !== null && definition.decompress === "none";
  const digest = mustCompare ? await digestByHand(definition, context) : (facts?.digest ?? null);
  if (mustCompare || (facts?.digestOf === "file" && definition.decompress === "none")) {
    if (wanted !== null && digest !== wanted) {
      throw imageInvalid(`${path} has SHA-256 ${digest}, and the map says ${wanted}.`, remedy);
    }
  }
  return { path, ...inspected, digest };
}

/** Computes and remembers the digest of an image that was put in place by hand. */
export async function digestByHand(
  definition: ImageDefinition,
  context: Pick<PreparationContext, "signal" | "dataDir" | "report">,
): Promise<string> {
  const path = definition.localPath;
  const { size: totalBytes } = await stat(path);
  const digest = await digestFile(path, context.signal, (doneBytes) =>
    context.report({ phase: "verifying", doneBytes, totalBytes }),
  );
  await saveFacts(definition, context.dataDir, { path, digest, digestOf: "file" });
  return digest;
}
