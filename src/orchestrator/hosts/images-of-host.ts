import { imagesFor, unfitness } from "../../core/hosts/backend-fit.ts";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import type { Backend } from "../../core/job/job.ts";
import type { Log } from "../../core/log.ts";

/**
 * The images that a host with `backend` prepares and runs. The other images of the map are logged once:
 * images for other hosts, and, as a warning, images that need a correction of the map.
 */
export function imagesOfHost(map: ImageMap, backend: Backend, log: Log): Pick<ImageMap, "images"> {
  const elsewhere: string[] = [];
  for (const [image, definition] of map.images) {
    const unfit = unfitness(definition, backend);
    if (unfit?.needs) elsewhere.push(image);
    else if (unfit) log.warn({ image }, `an image cannot be used on this host. ${unfit.problem}`);
  }
  if (elsewhere.length > 0) log.info({ backend, images: elsewhere }, "images that only other hosts can run");
  return imagesFor(map, backend);
}
