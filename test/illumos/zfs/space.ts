import type { Context } from "../host/context.ts";
import { row } from "../host/state.ts";
import {
  allDatasets,
  type Dataset,
  findDataset,
  isBelow,
  parentName,
  poolOf,
  volumeFile,
} from "./datasets.ts";
import { parseSize } from "./sizes.ts";
import { ownBytes } from "./volume-files.ts";

/** Size of an empty file system. */
export const fileSystemBytes = 96 * 1024;

/** Bytes of a pool. */
export function poolSize({ database }: Context, pool: string): number {
  return Number(
    row<{ value: string }>(database, "SELECT value FROM settings WHERE name = ?", `pool:${pool}`)?.value ?? 0,
  );
}

/** Bytes that a dataset and its descendants use; a volume that is not sparse uses its reservation. */
export function datasetUsed(context: Context, dataset: Dataset): number {
  if (dataset.type === "snapshot") return 0;
  const below = allDatasets(context).filter(
    ({ name, type }) => type !== "snapshot" && isBelow(name, dataset.name),
  );
  return [dataset, ...below].reduce((sum, one) => sum + ownUse(context, one), 0);
}

function ownUse(context: Context, dataset: Dataset): number {
  if (dataset.type === "filesystem") return fileSystemBytes;
  return Math.max(dataset.reserved, ownBytes(volumeFile(context, dataset.name)));
}

/** Bytes that a dataset may still use: the pool's free space, or less with a quota above it. */
export function datasetAvailable(context: Context, dataset: Dataset): number {
  const pool = findDataset(context, poolOf(dataset.name));
  let available = poolSize(context, poolOf(dataset.name)) - (pool ? datasetUsed(context, pool) : 0);
  for (let one: Dataset | undefined = dataset; one; one = findDataset(context, parentName(one.name) ?? "")) {
    const quota = quotaOf(context, one);
    if (quota > 0) available = Math.min(available, quota - datasetUsed(context, one));
  }
  // A volume may use its own reservation.
  if (dataset.type === "volume") available += dataset.reserved;
  return Math.max(0, available);
}

function quotaOf({ database }: Context, dataset: Dataset): number {
  const sql = "SELECT value FROM properties WHERE dataset = ? AND name = 'quota'";
  return parseSize(row<{ value: string }>(database, sql, dataset.name)?.value ?? "0") ?? 0;
}
