import { imagesFor, type Unfit, unfitness } from "../../core/hosts/backend-fit.ts";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import type { Backend } from "../../core/job/job.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import { type ImageRow, openImageStore } from "../../images/index.ts";
import { type Check, type Finding, fail, ok, warn } from "./check.ts";

/** One check for each image of the map, as a host with `backend` would use it. */
export function imageChecks(imageMap: ImageMap, dataDir: string, backend: Backend): Check[] {
  const rows = openImageStore({ imageMap: imagesFor(imageMap, backend), dataDir }).inspect();
  // Whoever awaits it first tells the error; without this an unawaited one would end the process.
  rows.catch(() => {});
  return [...imageMap.images.values()].map((image) => ({
    name: `image ${image.name}`,
    run: async () => {
      const { name, source } = image;
      const unfit = unfitness(image, backend);
      if (unfit !== null) return judgeUnfit(unfit);
      const row = (await rows).find((candidate) => candidate.name === name);
      return row ? judgeImage(row, source) : fail("It was not looked at.", null);
    },
  }));
}

/** An image for other hosts is as it should be; one that nobody can use as it is said is not. */
function judgeUnfit({ needs, problem }: Unfit): Finding {
  if (needs === null) return fail(problem, null);
  return ok(`It is for hosts with backend ${needs}; this one leaves it to them.`);
}

/** What a state on disk means for the jobs of an image. */
export function judgeImage(row: ImageRow, source: string | null): Finding {
  if (row.state === "ready") return ok(`${row.format}, ${formatBytes(row.fileSizeBytes ?? 0)}, ${row.path}`);
  if (row.state === "invalid") return fail(row.message ?? "It cannot be used.", null);
  if (row.state === "preparing") {
    return warn(`It is being prepared${row.holderPid === null ? "" : ` by process ${row.holderPid}`}.`, null);
  }
  const pull = `solstice images pull ${row.name}`;
  if (row.state === "partial") {
    return warn(`${formatBytes(row.partialBytes ?? 0)} of it are downloaded.${lastTry(row)}`, pull);
  }
  if (source === null)
    return fail(`It is not at ${row.path}, and has no source.`, `Put the file at ${row.path}`);
  return warn(`It is not there yet. The orchestrator fetches it when it starts.${lastTry(row)}`, pull);
}

function lastTry({ message }: ImageRow): string {
  return message === null ? "" : ` The last try failed at ${message}`;
}
