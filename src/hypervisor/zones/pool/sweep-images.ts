import { execute } from "../commands.ts";
import { isAbsent, isBusy } from "../errors.ts";
import { ownershipProperties } from "../ownership.ts";
import { type Dataset, findDataset } from "./datasets.ts";
import { type ImageShelfOptions, imageDataset, readySnapshot, usedProperty } from "./images.ts";

/**
 * Removes unused images: an image with a guest stays whatever its age (`zfs destroy` of its snapshot fails); without a
 * guest, it stays for `keepMs` after its last use. Incomplete imports are removed at once. Errors are only logged.
 */
export async function sweepImages(
  options: ImageShelfOptions & { readonly keepMs: number },
  inUse: ReadonlySet<string>,
  images: readonly Dataset[],
): Promise<void> {
  for (const { name, properties } of images) {
    const key = name.slice(imageDataset(options.pool, "").length);
    if (inUse.has(key) || properties.get(ownershipProperties.owner) !== options.ownerId) continue;
    const isWhole = (await findDataset(options, readySnapshot(name), ["type"])) !== null;
    const idleMs = Date.now() - Number(properties.get(usedProperty) ?? Number.NaN);
    if (isWhole && !(options.keepMs > 0 && idleMs > options.keepMs)) continue;
    await destroyImage(options, name, isWhole);
  }
}

async function destroyImage(options: ImageShelfOptions, dataset: string, isWhole: boolean): Promise<void> {
  if (isWhole) {
    const { exitCode } = await execute(options, "zfs", ["destroy", readySnapshot(dataset)]);
    // A guest has a clone of the image.
    if (exitCode !== 0) return;
  }
  const result = await execute(options, "zfs", ["destroy", "-r", dataset]);
  if (result.exitCode === 0) options.log.info({ dataset }, "removed an unused image from the pool");
  else if (!isAbsent(result) && !isBusy(result)) {
    options.log.warn({ dataset, problem: result.stderr.trim() }, "removing an image from the pool failed");
  }
}
