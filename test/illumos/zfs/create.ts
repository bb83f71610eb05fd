import { chmodSync, cpSync, mkdirSync, readdirSync } from "node:fs";
import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { exclusively } from "../host/state.ts";
import { runningZoneWith } from "../zones/use.ts";
import {
  findDataset,
  insertDataset,
  openDataset,
  parentName,
  volumeFile,
  withDescendants,
} from "./datasets.ts";
import { checkName } from "./names.ts";
import { mountpointOf } from "./properties.ts";
import { checkProperty, setProperty } from "./set.ts";
import { datasetAvailable, fileSystemBytes } from "./space.ts";
import { createVolumeFile, shareVolumeFile } from "./volume-files.ts";
import { defaultBlockBytes, volumeReservation } from "./volumes.ts";

/** The settings of `zfs create`. */
export interface Creation {
  readonly name: string;
  readonly properties: readonly (readonly [string, string])[];
  /** Bytes of the volume; null for a file system. */
  readonly volsize: number | null;
  readonly volblocksize?: number;
  readonly sparse?: boolean;
  /** Makes missing parents, and accepts an existing dataset (-p). */
  readonly parents?: boolean;
}

/** Makes a file system or a volume. */
export function createDataset(context: Context, creation: Creation): void {
  const { name, parents = false } = creation;
  const action = `cannot create '${name}'`;
  checkName(name, action);
  if (parents) createParents(context, name);
  exclusively(context.database, () => {
    if (findDataset(context, name)) {
      if (parents) return;
      throw new CommandFailure(`${action}: dataset already exists`);
    }
    checkParent(context, name, action);
    if (creation.volsize === null) addFileSystem(context, creation, action);
    else addVolume(context, { ...creation, volsize: creation.volsize }, action);
  });
}

function createParents(context: Context, name: string): void {
  const parent = parentName(name);
  if (parent === null || findDataset(context, parent)) return;
  createParents(context, parent);
  if (parentName(parent) === null) return;
  createDataset(context, { name: parent, properties: [], volsize: null });
  context.halfway();
}

function checkParent(context: Context, name: string, action: string): void {
  const parent = findDataset(context, parentName(name) ?? "");
  if (!parent) {
    const pool = findDataset(context, name.split("/")[0] ?? "");
    throw new CommandFailure(
      `${action}: ${pool ? "parent does not exist" : `no such pool '${name.split("/")[0]}'`}`,
    );
  }
  if (parent.type !== "filesystem") throw new CommandFailure(`${action}: parent is not a filesystem`);
}

function addFileSystem(context: Context, { name, properties }: Creation, action: string): void {
  const checked = properties.map(
    ([key, value]) => [key, checkProperty("filesystem", [key, value], action)] as const,
  );
  const parent = openDataset(context, parentName(name) ?? "");
  if (datasetAvailable(context, parent) < fileSystemBytes)
    throw new CommandFailure(`${action}: out of space`);
  insertDataset(context, {
    name,
    type: "filesystem",
    origin: null,
    volsize: null,
    volblocksize: null,
    reserved: 0,
  });
  for (const [key, value] of checked) setProperty(context, openDataset(context, name), [key, value]);
  mount(context, name);
}

/** Makes the directory of a file system; fails when it contains files, as a mount on illumos does. */
function mount(context: Context, name: string): void {
  const path = mountpointOf(context, openDataset(context, name));
  if (!path) return;
  mkdirSync(path, { recursive: true });
  if (readdirSync(path).length > 0) {
    throw new CommandFailure(
      `cannot mount '${path}': directory is not empty\nfilesystem successfully created, but not mounted`,
    );
  }
  chmodSync(path, 0o755);
}

function addVolume(context: Context, creation: Creation & { volsize: number }, action: string): void {
  const { name, volsize, volblocksize = defaultBlockBytes, sparse = false } = creation;
  if (volsize === 0) throw new CommandFailure(`${action}: volume size cannot be zero`);
  if (volblocksize < 512 || volblocksize > 131_072 || (volblocksize & (volblocksize - 1)) !== 0) {
    throw new CommandFailure(`${action}: 'volblocksize' must be power of 2 from 512B to 128KB`);
  }
  if (volsize % volblocksize !== 0) {
    throw new CommandFailure(`${action}: volume size must be a multiple of volume block size`);
  }
  const checked = creation.properties.map(
    ([key, value]) => [key, checkProperty("volume", [key, value], action)] as const,
  );
  const parent = openDataset(context, parentName(name) ?? "");
  const available = datasetAvailable(context, parent);
  const reserved = sparse ? 0 : volumeReservation(volsize, volblocksize);
  if ((sparse ? volblocksize : reserved) > available) throw new CommandFailure(`${action}: out of space`);
  createVolumeFile(volumeFile(context, name), volsize);
  insertDataset(context, { name, type: "volume", origin: null, volsize, volblocksize, reserved });
  for (const [key, value] of checked) setProperty(context, openDataset(context, name), [key, value]);
}

/** Makes a snapshot of each named dataset: of all or of none. */
export function snapshot(
  context: Context,
  names: readonly string[],
  options: { recursive: boolean; properties: readonly (readonly [string, string])[] },
): void {
  exclusively(context.database, () => {
    for (const name of names) {
      const [of = "", label = ""] = name.split("@");
      if (!name.includes("@"))
        throw new CommandFailure(`cannot create snapshot '${name}': missing '@' delimiter in snapshot name`);
      checkName(name, `cannot create snapshot '${name}'`);
      const targets = options.recursive
        ? withDescendants(context, of).filter(({ type }) => type !== "snapshot")
        : [openDataset(context, of)];
      if (targets.length === 0) openDataset(context, of);
      for (const target of targets) addSnapshot(context, `${target.name}@${label}`, options.properties);
    }
  });
}

function addSnapshot(
  context: Context,
  name: string,
  properties: readonly (readonly [string, string])[],
): void {
  const action = `cannot create snapshot '${name}'`;
  if (findDataset(context, name)) throw new CommandFailure(`${action}: dataset already exists`);
  const of = openDataset(context, parentName(name) ?? "");
  const { volsize, volblocksize } = of;
  if (of.type === "volume") {
    const isWrittenTo = runningZoneWith(context, of.name) !== null;
    shareVolumeFile(volumeFile(context, of.name), volumeFile(context, name), { isWrittenTo });
  }
  insertDataset(context, { name, type: "snapshot", origin: null, volsize, volblocksize, reserved: 0 });
  for (const [key, value] of properties) setProperty(context, openDataset(context, name), [key, value]);
}

/** Makes a file system or volume from a snapshot. */
export function clone(
  context: Context,
  from: string,
  creation: { name: string; properties: readonly (readonly [string, string])[]; parents: boolean },
): void {
  const { name, properties, parents } = creation;
  const action = `cannot create '${name}'`;
  if (!from.includes("@"))
    throw new CommandFailure(`cannot open '${from}': operation not applicable to datasets of this type`);
  openDataset(context, from);
  checkName(name, action);
  if (parents) createParents(context, name);
  exclusively(context.database, () => {
    const snapshotOf = openDataset(context, from);
    if (findDataset(context, name)) {
      if (parents) return;
      throw new CommandFailure(`${action}: dataset already exists`);
    }
    checkParent(context, name, action);
    const of = openDataset(context, parentName(from) ?? "");
    const type = of.type === "volume" ? "volume" : "filesystem";
    const checked = properties.map(
      ([key, value]) => [key, checkProperty(type, [key, value], action)] as const,
    );
    const { volsize, volblocksize } = snapshotOf;
    if (type === "volume") shareVolumeFile(volumeFile(context, from), volumeFile(context, name));
    insertDataset(context, { name, type, origin: from, volsize, volblocksize, reserved: 0 });
    for (const [key, value] of checked) setProperty(context, openDataset(context, name), [key, value]);
    if (type === "filesystem") copyFiles(context, of.name, name);
  });
}

/** A clone of a file system contains the current files of its origin: snapshots of files are not kept. */
function copyFiles(context: Context, from: string, to: string): void {
  mount(context, to);
  const [source, target] = [from, to].map((name) => mountpointOf(context, openDataset(context, name)));
  if (source && target) cpSync(source, target, { recursive: true });
}
