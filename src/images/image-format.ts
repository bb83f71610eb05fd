import { type FileHandle, open } from "node:fs/promises";
import type { Decompress, ImageDefinition } from "../core/image-map.ts";
import { formatBytes } from "../host/disk-space.ts";
import { imageInvalid } from "./errors.ts";
import type { ImageFormat } from "./types.ts";

/** What kind of file it is, told by its first bytes and never by its name: Ubuntu's `.img` is a qcow2. */
export type FileKind = "qcow2" | "raw" | Exclude<Decompress, "none"> | (typeof foreignKinds)[number];

const foreignKinds = ["bzip2", "zip", "tar", "vmdk", "vhdx", "vdi", "web page"] as const;

const signatures: readonly [kind: FileKind, at: number, bytes: string][] = [
  ["qcow2", 0, "QFI\xfb"],
  ["zstd", 0, "\x28\xb5\x2f\xfd"],
  ["gzip", 0, "\x1f\x8b"],
  ["xz", 0, "\xfd7zXZ\0"],
  ["bzip2", 0, "BZh"],
  ["zip", 0, "PK\x03\x04"],
  ["tar", 257, "ustar"],
  ["vmdk", 0, "KDMV"],
  ["vhdx", 0, "vhdxfile"],
  ["vdi", 0, "<<< "],
];

const headBytes = 512;

/** The kind of the file behind `handle`. Everything without a known signature is `raw`. */
export async function detectKind(handle: FileHandle): Promise<FileKind> {
  const head = await readHead(handle);
  const text = head.toString("latin1");
  for (const [kind, at, bytes] of signatures) {
    if (text.startsWith(bytes, at)) return kind;
  }
  return /^\s*<(!doctype|html|\?xml)/i.test(text) ? "web page" : "raw";
}

/** Throws `image_invalid` unless the published file at `path` is compressed as the map says. */
export async function requireCompression(path: string, expected: Decompress): Promise<void> {
  await using handle = await open(path);
  const kind = await detectKind(handle);
  // zstd's skippable frame and xz's padding may come first, so only what is surely something else is refused here.
  if (expected === "none" || kind === expected || (expected === "zstd" && kind === "raw")) return;
  throw imageInvalid(
    `The published file is not ${expected}: it looks like ${kind === "raw" ? "an uncompressed image" : kind}.`,
    compressionRemedy(kind),
  );
}

/** The format and disk size of the unpacked file at `path`. Throws `image_invalid` when no guest may be started from it. */
export async function inspectImage(
  path: string,
  definition: Pick<ImageDefinition, "format">,
  maxVirtualSizeBytes: number,
): Promise<{ format: ImageFormat; virtualSizeBytes: number; fileSizeBytes: number }> {
  await using handle = await open(path);
  const { size: fileSizeBytes } = await handle.stat();
  const kind = await detectKind(handle);
  if (kind !== "raw" && kind !== "qcow2") {
    throw imageInvalid(`The image looks like ${kind}, not like a disk.`, compressionRemedy(kind));
  }
  if (definition.format !== null && definition.format !== kind) {
    throw imageInvalid(
      `The image is ${kind}, and the map says ${definition.format}.`,
      `Set format: ${kind} in the map.`,
    );
  }
  const virtualSizeBytes = kind === "raw" ? fileSizeBytes : await qcow2VirtualSize(handle);
  if (virtualSizeBytes < headBytes) {
    throw imageInvalid("The image is empty.", "Remove the file, then fetch it again: solstice images pull");
  }
  if (virtualSizeBytes > maxVirtualSizeBytes) {
    throw imageInvalid(
      `The image claims a disk of ${formatBytes(virtualSizeBytes)}; the limit is ${formatBytes(maxVirtualSizeBytes)}.`,
      "Use another image.",
    );
  }
  return { format: kind, virtualSizeBytes, fileSizeBytes };
}

/**
 * Reads the header of a qcow2 (QEMU's docs/interop/qcow2.txt) and refuses what would make QEMU open another file of the
 * host for the guest (a backing file, an external data file), or needs a key.
 */
async function qcow2VirtualSize(handle: FileHandle): Promise<number> {
  const head = await readHead(handle);
  const version = head.length < 104 ? 0 : head.readUInt32BE(4);
  if (version !== 2 && version !== 3) {
    throw imageInvalid("The qcow2 header is damaged or too new.", "Check the file: qemu-img info FILE");
  }
  const hasExternalData = version === 3 && (head.readUInt8(79) & 4) !== 0;
  if (head.readBigUInt64BE(8) !== 0n) throw unsafeQcow2("a backing file");
  if (hasExternalData) throw unsafeQcow2("an external data file");
  if (head.readUInt32BE(32) !== 0) throw unsafeQcow2("encryption");
  return Number(head.readBigUInt64BE(24));
}

function unsafeQcow2(what: string) {
  return imageInvalid(
    `The qcow2 uses ${what}, which is refused.`,
    "Make it self-contained: qemu-img convert -O qcow2 OLD NEW",
  );
}

async function readHead(handle: FileHandle): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0);
  return buffer.subarray(0, bytesRead);
}

function compressionRemedy(kind: FileKind): string {
  if (kind === "zstd" || kind === "gzip" || kind === "xz") return `Set decompress: ${kind} in the map.`;
  if (kind === "raw" || kind === "qcow2") return "Set decompress: none in the map.";
  if (kind === "web page")
    return "Open the source in a browser: it is probably a page that leads to the image.";
  return "Convert it first, for example: qemu-img convert -O qcow2 OLD NEW";
}
