import { dirname, join, resolve } from "node:path";
import { normaliseRanges } from "../../core/image-map/egress.ts";
import type { Decompress, ImageDefinition } from "../../core/image-map/image-map.ts";
import { readChecksum } from "./image-checksum.ts";
import type { ImageEntry } from "./image-map-schema.ts";
import { isUrl } from "./image-paths.ts";

/** The base directories for the paths of a map. */
export interface MapPlaces {
  /** The map's file. Relative paths are relative to its directory. */
  readonly fileName: string;
  /** The parent of `images/`, the directory of images without `local_path`. */
  readonly dataDir: string;
}

/** The size of a guest if neither the job nor the image sets one. */
export const fallbackSize = { cpu: 2, ramMb: 2048, diskGb: 20 } as const;

/** Fills in an image's defaults and makes its paths absolute. */
export function createImageDefinition(name: string, entry: ImageEntry, places: MapPlaces): ImageDefinition {
  const fromMap = (path: string) => resolve(dirname(places.fileName), path);
  const defaultPath = join(places.dataDir, "images", `${name}.${entry.format ?? "img"}`);
  return Object.freeze({
    name,
    source: entry.source === undefined ? null : isUrl(entry.source) ? entry.source : fromMap(entry.source),
    localPath: entry.local_path === undefined ? defaultPath : fromMap(entry.local_path),
    decompress: entry.decompress ?? decompressBySuffix(entry.source ?? ""),
    nocloud: entry.nocloud ?? true,
    defaults: Object.freeze({
      cpu: entry.defaults?.cpu ?? fallbackSize.cpu,
      ramMb: entry.defaults?.ram_mb ?? fallbackSize.ramMb,
      diskGb: entry.defaults?.disk_gb ?? fallbackSize.diskGb,
    }),
    checksum: checksumOf(entry, fromMap),
    format: entry.format ?? null,
    backend: entry.backend ?? null,
    seed: entry.seed ?? "iso",
    diskBus: entry.disk_bus ?? "virtio",
    nicModel: entry.nic_model ?? "virtio",
    firmware: entry.firmware ?? "bios",
    egress:
      typeof entry.egress === "object"
        ? Object.freeze(normaliseRanges(entry.egress))
        : (entry.egress ?? "open"),
  });
}

function checksumOf(entry: ImageEntry, fromMap: (path: string) => string): ImageDefinition["checksum"] {
  const text = entry.checksum ?? entry.sha256 ?? entry.sha512;
  return text === undefined ? null : Object.freeze(readChecksum(text, fromMap));
}

const suffixes: readonly (readonly [RegExp, Decompress])[] = [
  [/\.(zst|zstd)$/i, "zstd"],
  [/\.xz$/i, "xz"],
  [/\.gz$/i, "gzip"],
];

function decompressBySuffix(source: string): Decompress {
  const path = source.replace(/[?#].*$/s, "");
  return suffixes.find(([suffix]) => suffix.test(path))?.[1] ?? "none";
}
