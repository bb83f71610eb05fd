import { mkdirSync, renameSync } from "node:fs";
import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { change } from "../host/state.ts";
import { type Dataset, volumeFile } from "./datasets.ts";
import { aliases, isUserProperty, mountpointOf, natives } from "./properties.ts";
import { niceSize, parseSize } from "./sizes.ts";
import { datasetAvailable, datasetUsed } from "./space.ts";
import { resizeVolumeFile } from "./volume-files.ts";
import { defaultBlockBytes, volumeReservation } from "./volumes.ts";

/** Splits `name=value`; fails as zfs set and -o do. */
export function parseAssignment(text: string): [name: string, value: string] {
  const equals = text.indexOf("=");
  if (equals < 0) throw new CommandFailure(`missing '=' for property=value argument`, 2);
  const name = text.slice(0, equals);
  return [aliases[name] ?? name, text.slice(equals + 1)];
}

/**
 * Checks a value for a kind of dataset; returns the stored value. `action` is the prefix of libzfs' messages (`cannot
 * create 'a/b'`).
 */
export function checkProperty(
  type: Dataset["type"],
  [name, value]: [string, string],
  action: string,
): string {
  const fail = (text: string): never => {
    throw new CommandFailure(`${action}: ${text}`);
  };
  const native = natives[name];
  if (!native) {
    if (!name.includes(":")) fail(`invalid property '${name}'`);
    if (!isUserProperty(name)) fail(`invalid property '${name}'`);
    if (value.length >= 8192) fail(`property value '${value}' too long`);
    return value;
  }
  if (!native.settable) fail(`'${name}' is readonly`);
  if (!native.types.includes(type) || type === "snapshot") {
    fail(
      type === "snapshot"
        ? "this property can not be modified for snapshots"
        : `'${name}' does not apply to datasets of this type`,
    );
  }
  if (native.words && !native.words.includes(value))
    fail(`'${name}' must be one of '${native.words.join(" | ")}'`);
  if (!native.isSize) return value;
  if (value === "none" && name !== "volsize") return "0";
  const bytes = parseSize(value);
  if (bytes === null) return fail(`bad numeric value '${value}'`);
  return String(bytes);
}

/** Sets one property of an existing dataset. */
export function setProperty(context: Context, dataset: Dataset, assignment: [string, string]): void {
  const action = `cannot set property for '${dataset.name}'`;
  const [name] = assignment;
  const value = checkProperty(dataset.type, assignment, action);
  if (name === "volsize") {
    setVolumeSize(context, dataset, Number(value));
    return;
  }
  checkSpace(context, dataset, [name, value]);
  if (name === "refreservation") {
    change(context.database, "UPDATE datasets SET reserved = ? WHERE name = ?", Number(value), dataset.name);
    return;
  }
  const before = name === "mountpoint" ? mountpointOf(context, dataset) : null;
  change(context.database, "INSERT OR REPLACE INTO properties VALUES (?, ?, ?)", dataset.name, name, value);
  if (name === "mountpoint") moveMount(context, dataset, before);
}

function setVolumeSize(context: Context, dataset: Dataset, bytes: number): void {
  const action = `cannot set property for '${dataset.name}'`;
  const block = dataset.volblocksize ?? defaultBlockBytes;
  if (bytes % block !== 0) {
    const multiple = `'volsize' must be a multiple of volume block size (${niceSize(block)})`;
    throw new CommandFailure(`${action}: ${multiple}`);
  }
  if (bytes === 0) throw new CommandFailure(`${action}: 'volsize' cannot be zero`);
  const isReserved = dataset.reserved > 0;
  const reserved = isReserved ? volumeReservation(bytes, block) : 0;
  if (reserved - dataset.reserved > datasetAvailable(context, dataset) - dataset.reserved) {
    // The message names both properties that are set (zfs_setprop_error of libzfs_dataset.c).
    throw new CommandFailure(`${action}: out of space\n${action}: size is greater than available space`);
  }
  resizeVolumeFile(volumeFile(context, dataset.name), bytes);
  const sql = "UPDATE datasets SET volsize = ?, reserved = ? WHERE name = ?";
  change(context.database, sql, bytes, reserved, dataset.name);
}

/**
 * Refuses a limit below the used space, or a reservation above the free space (zfs_setprop_error of
 * libzfs_dataset.c).
 */
function checkSpace(context: Context, dataset: Dataset, [name, value]: [string, string]): void {
  const action = `cannot set property for '${dataset.name}'`;
  const bytes = Number(value);
  if ((name === "quota" || name === "refquota") && bytes > 0 && bytes < datasetUsed(context, dataset)) {
    throw new CommandFailure(`${action}: size is less than current used or reserved space`);
  }
  if (name !== "reservation" && name !== "refreservation") return;
  if (dataset.volsize !== null && bytes > volumeReservation(dataset.volsize, dataset.volblocksize ?? 0)) {
    throw new CommandFailure(`${action}: '${name}' is greater than current volume size`);
  }
  if (bytes - dataset.reserved > datasetAvailable(context, dataset)) {
    throw new CommandFailure(`${action}: size is greater than available space`);
  }
}

/** Moves the directory of a file system whose mountpoint changes, with its files. */
function moveMount(context: Context, dataset: Dataset, before: string | null): void {
  const after = mountpointOf(context, dataset);
  if (!after || after === before) return;
  mkdirSync(after, { recursive: true });
  if (before) renameSync(before, after);
}
