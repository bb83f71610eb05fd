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

/** What an empty file system takes. */
export const fileSystemBytes = 96 * 1024;

/** Bytes of a pool. */
export function poolSize({ database }: Context, pool: string): number {
  return Number(
    row<{ value: string }>(database, "SELECT value FROM settings WHERE name = ?", `pool:${pool}`)?.value ?? 0,
  );
}

/** Bytes a dataset and all below it take; a volume that is not sparse takes its reservation. */
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

/** Bytes that a dataset may still take: the pool's rest, or less by a quota above it. */
export function datasetAvailable(context: Context, dataset: Dataset): number {
  const pool = findDataset(context, poolOf(dataset.name));
  let available = poolSize(context, poolOf(dataset.name)) - (pool ? datasetUsed(context, pool) : 0);
  for (let one: Dataset | undefined = dataset; one; one = findDataset(context, parentName(one.name) ?? "")) {
    const quota = quotaOf(context, one);
    if (quota > 0) available = Math.min(available, quota - datasetUsed(context, one));
  }
  // What a volume has reserved is its own to write to.
  if (dataset.type === "volume") available += dataset.reserved;
  return Math.max(0, available);
}

function quotaOf({ database }: Context, dataset: Dataset): number {
  const sql = "SELECT value FROM properties WHERE dataset = ? AND name = 'quota'";
  return parseSize(row<{ value: string }>(database, sql, dataset.name)?.value ?? "0") ?? 0;
}
