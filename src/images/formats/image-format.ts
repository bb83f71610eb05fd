import { open } from "node:fs/promises";
import { isSolsticeError } from "../../core/errors.ts";
import type { Decompress, ImageDefinition } from "../../core/image-map/image-map.ts";
import { runCommand } from "../../host/command.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import { imageInvalid } from "../errors.ts";
import type { ImageFormat } from "../types.ts";
import { detectKind, type FileKind } from "./file-kind.ts";
import { requireWholePartitions } from "./partition-table.ts";
import { readQcow2Header, requireWholeQcow2 } from "./qcow2-structure.ts";

const smallestDiskBytes = 512;
const checkSeconds = 600;

/** Throws `image_invalid` unless the published file at `path` has the compression that the map names. */
export async function requireCompression(path: string, expected: Decompress): Promise<void> {
  await using handle = await open(path);
  const kind = await detectKind(handle);
  // xz's padding may come first, so only a clearly different kind is rejected here.
  if (expected === "none" || kind === expected) return;
  throw imageInvalid(
    `The published file is not ${expected}: it looks like ${kind === "raw" ? "an uncompressed image" : kind}.`,
    compressionRemedy(kind),
  );
}

/** Facts about an image before {@link inspectImage} reads it. */
export interface InspectOptions {
  readonly format: ImageDefinition["format"];
  /** Compression of the published file; default `none`. */
  readonly decompress?: Decompress;
  readonly maxVirtualSizeBytes: number;
  /** True when all tables of this very file were checked before. */
  readonly isKnown?: boolean;
}

/**
 * Returns format and disk size of the unpacked file at `path`. Throws `image_invalid` when it cannot be a guest's disk.
 */
export async function inspectImage(
  path: string,
  options: InspectOptions,
): Promise<{ format: ImageFormat; virtualSizeBytes: number; fileSizeBytes: number }> {
  await using handle = await open(path);
  const { size: fileSizeBytes } = await handle.stat();
  const kind = await detectKind(handle);
  if (kind !== "raw" && kind !== "qcow2") throw wrongKind(kind, options.decompress ?? "none");
  if (options.format !== null && options.format !== kind) {
    throw imageInvalid(
      `The image is ${kind}, and the map says ${options.format}.`,
      `Set format: ${kind} in the map.`,
    );
  }
  const header = kind === "raw" ? null : await readQcow2Header(handle);
  const virtualSizeBytes = header?.virtualSizeBytes ?? fileSizeBytes;
  requireDiskSize(virtualSizeBytes, options.maxVirtualSizeBytes);
  if (header === null) await requireWholePartitions(handle);
  else if (!options.isKnown) await requireWholeQcow2(handle, header);
  return { format: kind, virtualSizeBytes, fileSizeBytes };
}

/**
 * Checks the qcow2 at `path` with `qemu-img check`, if that program is installed: it also finds clusters that two
 * tables use. Reads all tables, so it is for new files. Lost clusters (exit code 3) are harmless.
 */
export async function checkWithQemu(path: string, signal: AbortSignal): Promise<void> {
  try {
    await runCommand("qemu-img", ["check", "-q", "-U", "-f", "qcow2", path], {
      acceptExitCodes: [0, 3],
      deadlineSeconds: checkSeconds,
      errorCode: "image_invalid",
      remedy: "Fetch or copy it again; qemu-img check FILE shows the damage.",
      signal,
    });
  } catch (error) {
    if (!isSolsticeError(error, "host_missing_tool")) throw error;
  }
}

function requireDiskSize(bytes: number, maxBytes: number): void {
  if (bytes < smallestDiskBytes) {
    throw imageInvalid("The image is empty.", "Remove the file, then fetch it again: solstice images pull");
  }
  if (bytes <= maxBytes) return;
  throw imageInvalid(
    `The image claims a disk of ${formatBytes(bytes)}; the limit is ${formatBytes(maxBytes)}.`,
    "Use another image.",
  );
}

function wrongKind(kind: FileKind, decompress: Decompress) {
  if (decompress === "none") {
    return imageInvalid(`The image looks like ${kind}, not like a disk.`, compressionRemedy(kind));
  }
  return imageInvalid(
    `The file inside the ${decompress} file looks like ${kind}, not like a disk.`,
    "Unpack the file by hand, and put the disk at local_path.",
  );
}

const remedies: Readonly<Partial<Record<FileKind, string>>> = {
  raw: "Set decompress: none in the map.",
  qcow2: "Set decompress: none in the map.",
  zstd: "Set decompress: zstd in the map.",
  gzip: "Set decompress: gzip in the map.",
  xz: "Set decompress: xz in the map.",
  "web page": "Open the source in a browser: it is probably a page that leads to the image.",
  "text file": "Check the content of the source: it is probably a message or a list, not the image.",
  iso9660: "Use a disk image (a cloud image) instead: an installer or a live system has no runner.",
};

function compressionRemedy(kind: FileKind): string {
  const isDisk = diskKinds.includes(kind);
  return remedies[kind] ?? (isDisk ? "Convert it first: qemu-img convert -O qcow2 OLD NEW" : unpackRemedy);
}

const unpackRemedy =
  "Unpack the file first, and name the disk in it; solstice itself unpacks zstd, xz and gzip.";

/** Disk formats of other programs; every other kind contains files. */
const diskKinds: readonly FileKind[] = [
  "vmdk",
  "vhd",
  "vhdx",
  "vdi",
  "qed",
  "qcow",
  "parallels",
  "bochs",
  "dmg",
];
