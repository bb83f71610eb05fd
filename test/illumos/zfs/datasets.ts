import { join } from "node:path";
import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { change, nextSerial, row, rows } from "../host/state.ts";

/** A dataset of zfs: a file system with a directory, a volume with a file, or a snapshot of one of them. */
export interface Dataset {
  readonly name: string;
  readonly type: "filesystem" | "volume" | "snapshot";
  /** Grows with each creation. */
  readonly serial: number;
  /** The snapshot from which a clone was made. */
  readonly origin: string | null;
  /** Size in bytes, of a volume and of its snapshots. */
  readonly volsize: number | null;
  readonly volblocksize: number | null;
  /** Bytes that the pool reserves for a volume that is not sparse (refreservation). */
  readonly reserved: number;
}

/** Finds a dataset by its name. */
export function findDataset({ database }: Context, name: string): Dataset | undefined {
  return row<Dataset>(database, "SELECT * FROM datasets WHERE name = ?", name);
}

/** Finds a dataset by its name; fails as zfs_open does when it does not exist. */
export function openDataset(context: Context, name: string): Dataset {
  const dataset = findDataset(context, name);
  if (!dataset) throw new CommandFailure(`cannot open '${name}': dataset does not exist`);
  return dataset;
}

/** All datasets: parents first, snapshots after their dataset in the order of creation. */
export function allDatasets({ database }: Context): Dataset[] {
  const all = rows<Dataset>(database, "SELECT * FROM datasets");
  const key = (dataset: Dataset) => dataset.name.split("@")[0] ?? "";
  return all.sort((a, b) => compareNames(key(a), key(b)) || rank(a) - rank(b));
}

function rank(dataset: Dataset): number {
  return dataset.type === "snapshot" ? dataset.serial : -1;
}

/** Orders names by component, so that a dataset comes directly before its descendants. */
function compareNames(a: string, b: string): number {
  const [left, right] = [a.replaceAll("/", "\0"), b.replaceAll("/", "\0")];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The dataset and all its descendants, snapshots as well, parents first. */
export function withDescendants(context: Context, name: string): Dataset[] {
  return allDatasets(context).filter((other) => other.name === name || isBelow(other.name, name));
}

/** True when `name` is below `ancestor`, or a snapshot of it. */
export function isBelow(name: string, ancestor: string): boolean {
  return name.startsWith(`${ancestor}/`) || name.startsWith(`${ancestor}@`);
}

/** The parent of a dataset or snapshot; null for a pool. */
export function parentName(name: string): string | null {
  const at = name.indexOf("@");
  if (at >= 0) return name.slice(0, at);
  const slash = name.lastIndexOf("/");
  return slash < 0 ? null : name.slice(0, slash);
}

/** The pool of a dataset. */
export function poolOf(name: string): string {
  return /^[^/@]*/.exec(name)?.[0] ?? name;
}

/** Records a new dataset. */
export function insertDataset(context: Context, dataset: Omit<Dataset, "serial">): void {
  const { name, type, origin, volsize, volblocksize, reserved } = dataset;
  const serial = nextSerial(context.database);
  change(
    context.database,
    "INSERT INTO datasets (name, type, serial, origin, volsize, volblocksize, reserved) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ...[name, type, serial, origin, volsize, volblocksize, reserved],
  );
}

/** Deletes a dataset and its properties. */
export function deleteDataset({ database }: Context, name: string): void {
  change(database, "DELETE FROM properties WHERE dataset = ?", name);
  change(database, "DELETE FROM datasets WHERE name = ?", name);
}

/** The file with the bytes of a volume or of a volume's snapshot. */
export function volumeFile({ directory }: Pick<Context, "directory">, name: string): string {
  return join(directory, "zvols", encodeURIComponent(name));
}
