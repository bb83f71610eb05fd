import { stat } from "node:fs/promises";
import type { ImageDefinition } from "../../core/image-map/image-map.ts";
import { digestFile, type FileDigests, loadFacts, saveFacts } from "../image-facts.ts";
import type { PreparationContext } from "../types.ts";
import { digestBy, type WantedDigest } from "./wanted-digest.ts";

/**
 * Whether the image that was fetched earlier is what a list of checksums says, which the map did not name then: it is
 * remembered as right, and need not be fetched again.
 */
export async function isProvenByList(
  definition: ImageDefinition,
  wanted: WantedDigest | null,
  context: PreparationContext,
): Promise<boolean> {
  const { localPath: path } = definition;
  if (wanted?.listKey === undefined || (await stat(path).catch(() => null)) === null) return false;
  const facts = await loadFacts(definition, context.dataDir);
  if (facts?.digestOf !== "published") return false;
  const digests = await knownDigests(definition, facts, { wanted, context });
  if (digestBy(digests, wanted.algorithm) !== wanted.hex) return false;
  const { digest, sha512 } = digests;
  const proof = { digest, ...(sha512 !== undefined && { sha512 }), listKey: wanted.listKey };
  await saveFacts(definition, context.dataDir, { path, digestOf: "published", ...proof });
  return true;
}

/** A file that was not compressed is still as it was published, so that a digest that was not needed then can be made. */
async function knownDigests(
  { decompress, localPath }: ImageDefinition,
  facts: FileDigests,
  { wanted, context }: { wanted: WantedDigest; context: PreparationContext },
): Promise<FileDigests> {
  if (decompress !== "none" || digestBy(facts, wanted.algorithm) !== undefined) return facts;
  const { size: totalBytes } = await stat(localPath);
  return await digestFile(localPath, {
    signal: context.signal,
    withSha512: true,
    onRead: (doneBytes) => context.report({ phase: "verifying", doneBytes, totalBytes }),
  });
}
