import { rmSync } from "node:fs";
import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { exclusively } from "../host/state.ts";
import { runningZoneBelow, runningZoneWith } from "../zones/use.ts";
import {
  allDatasets,
  type Dataset,
  deleteDataset,
  findDataset,
  openDataset,
  parentName,
  volumeFile,
  withDescendants,
} from "./datasets.ts";
import { clonesOf, mountpointOf } from "./properties.ts";

/** The options of `zfs destroy`: -r also destroys descendants, -R also their clones. */
export interface Destruction {
  readonly below: boolean;
  readonly clones: boolean;
}

/** Destroys a dataset, and several one after the other: when one is busy, those before it are already destroyed. */
export function destroy(context: Context, name: string, { below, clones }: Destruction): void {
  if (name.includes("@")) openDataset(context, parentName(name) ?? "");
  if (name.includes("@") && !findDataset(context, name)) {
    throw new CommandFailure("could not find any snapshots to destroy; check snapshot names.");
  }
  const target = openDataset(context, name);
  refusePool(target, { below, clones });
  refuseChildren(context, target, { below, clones });
  const doomed = clones ? closure(context, name) : withDescendants(context, name);
  if (!clones) refuseClones(context, name, doomed);
  const newestFirst = doomed.sort((a, b) => depth(b) - depth(a) || b.serial - a.serial);
  newestFirst.forEach((dataset, index) => {
    exclusively(context.database, () => destroyOne(context, dataset));
    if (index === Math.floor((newestFirst.length - 1) / 2)) context.halfway();
  });
}

/** Clones come before their snapshots, children before parents. */
function depth(dataset: Dataset): number {
  return (dataset.origin ? 1_000 : 0) + dataset.name.split(/[/@]/).length;
}

/** zfs_do_destroy of zfs_main.c. */
function refusePool({ name }: Dataset, { below, clones }: Destruction): void {
  if (/[/@]/.test(name) || below || clones) return;
  throw new CommandFailure(
    [
      `cannot destroy '${name}': operation does not apply to pools`,
      `use 'zfs destroy -r ${name}' to destroy all datasets in the pool`,
      `use 'zpool destroy ${name}' to destroy the pool itself`,
    ].join("\n"),
  );
}

function refuseChildren(context: Context, target: Dataset, { below, clones }: Destruction): void {
  if (below || clones || target.type === "snapshot") return;
  const children = withDescendants(context, target.name).slice(1);
  if (children.length === 0) return;
  const kind = target.type;
  throw new CommandFailure(
    [
      `cannot destroy '${target.name}': ${kind} has children`,
      "use '-r' to destroy the following datasets:",
      ...children.map((child) => child.name),
    ].join("\n"),
  );
}

function refuseClones(context: Context, name: string, doomed: readonly Dataset[]): void {
  const names = new Set(doomed.map((dataset) => dataset.name));
  const dependents = doomed
    .flatMap((dataset) => clonesOf(context, dataset.name))
    .filter((clone) => !names.has(clone));
  if (dependents.length === 0) return;
  const kind = name.includes("@") ? "snapshot" : openDataset(context, name).type;
  throw new CommandFailure(
    [
      `cannot destroy '${name}': ${kind} has dependent clones`,
      "use '-R' to destroy the following datasets:",
      ...dependents,
    ].join("\n"),
  );
}

/** The dataset, its descendants, and recursively all clones of those. */
function closure(context: Context, name: string): Dataset[] {
  const all = allDatasets(context);
  const found = new Map<string, Dataset>();
  const queue = [name];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (found.has(next)) continue;
    for (const dataset of withDescendants(context, next)) {
      if (dataset.name !== next && !found.has(dataset.name)) queue.push(dataset.name);
      queue.push(...clonesOf(context, dataset.name));
    }
    const own = all.find((dataset) => dataset.name === next);
    if (own) found.set(next, own);
  }
  return [...found.values()];
}

function destroyOne(context: Context, dataset: Dataset): void {
  const { name, type } = dataset;
  if (type === "volume" && runningZoneWith(context, name)) {
    throw new CommandFailure(`cannot destroy '${name}': dataset is busy`);
  }
  if (type === "filesystem") unmount(context, dataset);
  else if (type === "volume" || openDataset(context, parentName(name) ?? "").type === "volume") {
    rmSync(volumeFile(context, name), { force: true });
  }
  deleteDataset(context, name);
}

function unmount(context: Context, dataset: Dataset): void {
  const path = mountpointOf(context, dataset);
  if (!path) return;
  if (runningZoneBelow(context, path)) throw new CommandFailure(`cannot unmount '${path}': Device busy`);
  rmSync(path, { recursive: true, force: true });
}
