import type { MessageInitShape } from "@bufbuild/protobuf";
import { unfitness } from "../../core/hosts/backend-fit.ts";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import { labelsOfImage } from "../../core/image-map/labels.ts";
import type { Backend } from "../../core/job/job.ts";
import type { HostImageSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { openImageStore } from "../../images/image-store.ts";
import type { ImageRow } from "../../images/inspect.ts";

/** A host's images: the map, their directory, and the backend. */
export interface ImagePlace {
  readonly imageMap: ImageMap;
  readonly dataDir: string;
  readonly backend: Backend;
}

/** Describes every image of the map, and its state on this host's disk. Never reads a whole image. */
export async function describeImages(place: ImagePlace): Promise<MessageInitShape<typeof HostImageSchema>[]> {
  const store = openImageStore(place);
  try {
    return (await store.inspect()).map((row) => describeImage(row, place));
  } finally {
    await store.close();
  }
}

function describeImage(
  row: ImageRow,
  { imageMap, backend }: ImagePlace,
): MessageInitShape<typeof HostImageSchema> {
  const image = imageMap.images.get(row.name);
  const unfit = image === undefined ? null : unfitness(image, backend);
  return {
    name: row.name,
    labels: labelsOfImage(imageMap, row.name),
    state: row.state,
    unfit: unfit?.problem ?? "",
    needs: unfit?.needs ?? "",
    format: row.format ?? "",
    ...optionalNumbers(row),
    sha256: row.digest ?? "",
    path: row.path,
    message: row.message ?? "",
  };
}

function optionalNumbers(row: ImageRow) {
  return {
    virtualSizeBytes: bigintOf(row.virtualSizeBytes),
    fileSizeBytes: bigintOf(row.fileSizeBytes),
    partialBytes: bigintOf(row.partialBytes),
    totalBytes: bigintOf(row.totalBytes),
    holderPid: bigintOf(row.holderPid),
  };
}

function bigintOf(value: number | null): bigint | undefined {
  return value === null ? undefined : BigInt(value);
}
