import { stat } from "node:fs/promises";
import type { ImageDefinition } from "../../core/image-map/image-map.ts";
import { digestFile, type FileDigests, loadFacts, saveFacts } from "../image-facts.ts";
import type { PreparationContext } from "../types.ts";
import { digestBy, type WantedDigest } from "./wanted-digest.ts";

/**
 * True when the previously fetched image matches a checksum file that the map did not name then: the match is recorded,
 * and the image is not fetched again.
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
  const digests = await digestsOf(definition, facts, { wanted, context });
  if (digestBy(digests, wanted.algorithm) !== wanted.hex) return false;
  const { digest, sha512 } = digests;
  const proof = { digest, ...(sha512 !== undefined && { sha512 }), listKey: wanted.listKey };
  await saveFacts(definition, context.dataDir, { path, digestOf: "published", ...proof });
  return true;
}

/**
 * Returns the image's digests. A digest that was not computed before is computed from a file that was published
 * uncompressed, because that file is still unchanged.
 */
async function digestsOf(
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
