import { ask } from "../commands.ts";
import { isAbsent, isBusy } from "../errors.ts";
import { ownershipProperties } from "../ownership.ts";
import { type Dataset, findDataset } from "./datasets.ts";
import { type ImageShelfOptions, imageDataset, readySnapshot, usedProperty } from "./images.ts";

/**
 * Removes images that nothing uses: with a guest on it, an image stays whatever its age (`zfs destroy` of its snapshot says
 * so); without one, until it was not used for `keepMs`. Half imports go at once. Nothing here is worth failing for.
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
    const { exitCode } = await ask(options, "zfs", ["destroy", readySnapshot(dataset)]);
    // A guest has a clone of it.
    if (exitCode !== 0) return;
  }
  const result = await ask(options, "zfs", ["destroy", "-r", dataset]);
  if (result.exitCode === 0)
    options.log.info({ dataset }, "removed an image that nothing uses from the pool");
  else if (!isAbsent(result) && !isBusy(result)) {
    options.log.warn(
      { dataset, problem: result.stderr.trim() },
      "an image could not be removed from the pool",
    );
  }
}
