import { imagesFor, type Unfit, unfitness } from "../../core/hosts/backend-fit.ts";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import type { Backend } from "../../core/job/job.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import { type ImageRow, openImageStore } from "../../images/index.ts";
import { type Check, type Finding, fail, ok, warn } from "./check.ts";

/** One check for each image of the map, for a host with `backend`. */
export function imageChecks(imageMap: ImageMap, dataDir: string, backend: Backend): Check[] {
  const rows = openImageStore({ imageMap: imagesFor(imageMap, backend), dataDir }).inspect();
  // The first check that awaits the promise reports its error. Without this, an unhandled rejection would end the process.
  rows.catch(() => {});
  return [...imageMap.images.values()].map((image) => ({
    name: `image ${image.name}`,
    run: async () => {
      const { name, source } = image;
      const unfit = unfitness(image, backend);
      if (unfit !== null) return judgeUnfit(unfit);
      const row = (await rows).find((candidate) => candidate.name === name);
      return row ? judgeImage(row, source) : fail("The image was not examined.", null);
    },
  }));
}

/** The finding for an image that this host cannot run: ok if it is for another backend, else a failure. */
function judgeUnfit({ needs, problem }: Unfit): Finding {
  if (needs === null) return fail(problem, null);
  return ok(`The image is for hosts with backend ${needs}; this host does not use it.`);
}

/** The finding for an image's state on disk. */
export function judgeImage(row: ImageRow, source: string | null): Finding {
  if (row.state === "ready") return ok(`${row.format}, ${formatBytes(row.fileSizeBytes ?? 0)}, ${row.path}`);
  if (row.state === "invalid") return fail(row.message ?? "The image cannot be used.", null);
  if (row.state === "preparing") {
    const holder = row.holderPid === null ? "" : ` by process ${row.holderPid}`;
    return warn(`The image is being prepared${holder}.`, null);
  }
  const pull = `solstice images pull ${row.name}`;
  if (row.state === "partial") {
    return warn(`The download is incomplete: ${formatBytes(row.partialBytes ?? 0)}.${lastTry(row)}`, pull);
  }
  if (source === null)
    return fail(`The image is not at ${row.path}, and has no source.`, `Put the file at ${row.path}`);
  return warn(`The image is missing. The orchestrator fetches it at its start.${lastTry(row)}`, pull);
}

function lastTry({ message }: ImageRow): string {
  return message === null ? "" : ` The last try failed at ${message}`;
}
