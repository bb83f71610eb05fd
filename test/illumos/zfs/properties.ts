import { join } from "node:path";
import type { Context } from "../host/context.ts";
import { row, rows } from "../host/state.ts";
import { type Dataset, findDataset, parentName, poolOf, volumeFile } from "./datasets.ts";
import { datasetAvailable, datasetUsed } from "./space.ts";
import { referencedBytes } from "./volume-files.ts";

/** A property's value with its source, as `zfs get` names it. */
export interface PropertyValue {
  readonly value: string;
  readonly source: "local" | "default" | "-" | `inherited from ${string}`;
  /** True for bytes, which people see with a unit. */
  readonly isSize?: boolean;
}

type Kind = Dataset["type"];

interface Native {
  readonly types: readonly Kind[];
  readonly settable: boolean;
  readonly inherits: boolean;
  readonly isSize?: boolean;
  readonly fallback?: string;
  /** The allowed words. */
  readonly words?: readonly string[];
}

const all: readonly Kind[] = ["filesystem", "volume", "snapshot"];
const fileSystem: readonly Kind[] = ["filesystem"];
const volumes: readonly Kind[] = ["volume"];
const data: readonly Kind[] = ["filesystem", "volume"];

function reported(types: readonly Kind[], isSize = false): Native {
  return { types, settable: false, inherits: false, isSize };
}
function word(types: readonly Kind[], fallback: string, words: string): Native {
  return { types, settable: true, inherits: true, fallback, words: words.split(" ") };
}
function limit(types: readonly Kind[]): Native {
  return { types, settable: true, inherits: false, isSize: true, fallback: "0" };
}

const compressions =
  "on off lzjb gzip gzip-1 gzip-2 gzip-3 gzip-4 gzip-5 gzip-6 gzip-7 gzip-8 gzip-9 zle lz4";

/** The supported native properties, as in zfs(8): those that a test or the product uses. */
export const natives: Readonly<Record<string, Native>> = {
  type: reported(all),
  creation: reported(all),
  used: reported(all, true),
  available: reported(data, true),
  referenced: reported(all, true),
  usedbydataset: reported(data, true),
  compressratio: reported(all),
  mounted: reported(fileSystem),
  origin: reported(data),
  createtxg: reported(all),
  guid: reported(all),
  clones: reported(["snapshot"]),
  volblocksize: { types: volumes, settable: false, inherits: false, isSize: true },
  quota: limit(fileSystem),
  refquota: limit(fileSystem),
  reservation: limit(data),
  refreservation: limit(data),
  volsize: { types: ["volume", "snapshot"], settable: true, inherits: false, isSize: true },
  mountpoint: { types: fileSystem, settable: true, inherits: true },
  sync: word(data, "standard", "standard always disabled"),
  compression: word(data, "off", compressions),
  readonly: word(data, "off", "on off"),
  atime: word(fileSystem, "on", "on off"),
  devices: word(fileSystem, "on", "on off"),
  exec: word(fileSystem, "on", "on off"),
  setuid: word(fileSystem, "on", "on off"),
  zoned: word(fileSystem, "off", "on off"),
  canmount: { ...word(fileSystem, "on", "on off noauto"), inherits: false },
  sharenfs: { types: fileSystem, settable: true, inherits: true, fallback: "off" },
  primarycache: word(data, "all", "all none metadata"),
};

/** Short names of columns (zfs(8)). */
export const aliases: Readonly<Record<string, string>> = {
  avail: "available",
  refer: "referenced",
  volblock: "volblocksize",
  compress: "compression",
  refquota: "refquota",
  reserv: "reservation",
  refreserv: "refreservation",
  rdonly: "readonly",
};

/** True for a valid name of a user property: `module:name`, in lower case. */
export function isUserProperty(name: string): boolean {
  return name.includes(":") && name.length < 256 && /^[a-z0-9:._+-]+$/.test(name) && !name.startsWith("-");
}

/** The value in `zfs get`; null when this dataset has no such property. */
export function propertyOf(context: Context, dataset: Dataset, name: string): PropertyValue | null {
  const native = natives[name];
  if (!native) return inheritedOf(context, dataset, name);
  if (!native.types.includes(dataset.type)) return null;
  const known = knownOf(context, dataset, name);
  if (known !== undefined)
    return known === null ? null : { value: known, source: "-", isSize: native.isSize ?? false };
  if (name === "volsize") return sizeValue(String(dataset.volsize), "local");
  if (name === "refreservation" && dataset.type === "volume") {
    return sizeValue(String(dataset.reserved), dataset.reserved > 0 ? "local" : "default");
  }
  if (name === "mountpoint") return mountpointValue(context, dataset);
  const own = native.inherits ? inheritedOf(context, dataset, name) : localOf(context, dataset, name);
  if (own) return { ...own, isSize: native.isSize ?? false };
  return { value: native.fallback ?? "-", source: "default", isSize: native.isSize ?? false };
}

function sizeValue(value: string, source: PropertyValue["source"]): PropertyValue {
  return { value, source, isSize: true };
}

/** Read-only properties. */
function knownOf(context: Context, dataset: Dataset, name: string): string | null | undefined {
  switch (name) {
    case "type":
      return dataset.type;
    case "creation":
    case "createtxg":
    case "guid":
      return String(dataset.serial);
    case "used":
    case "usedbydataset":
      return String(datasetUsed(context, dataset));
    case "available":
      return String(datasetAvailable(context, dataset));
    case "referenced":
      return String(
        isFileSystem(context, dataset) ? 98304 : referencedBytes(volumeFile(context, dataset.name)),
      );
    case "compressratio":
      return "1.00x";
    case "mounted":
      return "yes";
    case "origin":
      return dataset.origin;
    case "clones":
      return clonesOf(context, dataset.name).join(",");
    case "volblocksize":
      return String(dataset.volblocksize);
  }
  return undefined;
}

function isFileSystem(context: Context, dataset: Dataset): boolean {
  const own = dataset.type === "snapshot" ? findDataset(context, parentName(dataset.name) ?? "") : dataset;
  return own?.type === "filesystem";
}

/** The names of a snapshot's clones. */
export function clonesOf({ database }: Context, snapshot: string): string[] {
  const sql = "SELECT name FROM datasets WHERE origin = ? ORDER BY name";
  return rows<{ name: string }>(database, sql, snapshot).map(({ name }) => name);
}

function localOf({ database }: Context, dataset: Dataset, name: string): PropertyValue | null {
  const sql = "SELECT value FROM properties WHERE dataset = ? AND name = ?";
  const found = row<{ value: string }>(database, sql, dataset.name, name);
  return found ? { value: found.value, source: "local" } : null;
}

function inheritedOf(context: Context, dataset: Dataset, name: string): PropertyValue | null {
  const local = localOf(context, dataset, name);
  if (local) return local;
  const parent = findDataset(context, parentName(dataset.name) ?? "");
  const above = parent && inheritedOf(context, parent, name);
  if (!above) return null;
  return above.source === "local" ? { ...above, source: `inherited from ${parent.name}` } : above;
}

function mountpointValue(context: Context, dataset: Dataset): PropertyValue {
  const local = localOf(context, dataset, "mountpoint");
  if (local) return local;
  const parent = findDataset(context, parentName(dataset.name) ?? "");
  // The mountpoint of a pool is its name below the stand-in's directory; on illumos it is below the root.
  if (!parent) return { value: join(context.directory, poolOf(dataset.name)), source: "default" };
  const above = mountpointValue(context, parent);
  const last = dataset.name.slice(parent.name.length + 1);
  const value = above.value.startsWith("/") ? join(above.value, last) : above.value;
  if (above.source === "default") return { value, source: "default" };
  return { value, source: above.source === "local" ? `inherited from ${parent.name}` : above.source };
}

/** The directory where a file system is mounted; null when its mountpoint is `none` or `legacy`. */
export function mountpointOf(context: Context, dataset: Dataset): string | null {
  const { value } = mountpointValue(context, dataset);
  return value.startsWith("/") ? value : null;
}
