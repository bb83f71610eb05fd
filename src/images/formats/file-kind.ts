import type { FileHandle } from "node:fs/promises";
import type { Decompress } from "../../core/image-map/image-map.ts";

/** Kind of a file by its content, never by its name (Ubuntu's `.img` is a qcow2). `raw`: no signature matches. */
export type FileKind = "qcow2" | "raw" | Exclude<Decompress, "none"> | ForeignKind;

/** A kind that cannot be a guest's disk, with its name for messages. */
export type ForeignKind = (typeof foreignKinds)[number];

const foreignKinds = [
  ...(["bzip2", "lzma", "lz4", "lzip", "lzop", "compress", "lrzip"] as const),
  ...(["tar", "zip", "7z", "rar", "cpio", "ar", "rpm", "pdf", "program", "squashfs", "zfs stream"] as const),
  ...(["vmdk", "vhd", "vhdx", "vdi", "qed", "qcow", "parallels", "bochs", "dmg", "luks", "wim"] as const),
  ...(["android sparse image", "iso9660", "web page", "text file"] as const),
] as const;

const signatures: readonly (readonly [kind: FileKind, at: number, bytes: string])[] = [
  ["qcow", 0, "QFI\xfb\0\0\0\x01"],
  ["qcow2", 0, "QFI\xfb"],
  ["zstd", 0, "\x28\xb5\x2f\xfd"],
  ["gzip", 0, "\x1f\x8b"],
  ["xz", 0, "\xfd7zXZ\0"],
  ["bzip2", 0, "BZh"],
  ["lz4", 0, "\x04\x22\x4d\x18"],
  ["lz4", 0, "\x02\x21\x4c\x18"],
  ["lzip", 0, "LZIP"],
  ["lzop", 0, "\x89LZO\0\r\n\x1a\n"],
  ["compress", 0, "\x1f\x9d"],
  ["lrzip", 0, "LRZI"],
  ["zip", 0, "PK\x03\x04"],
  ["7z", 0, "7z\xbc\xaf\x27\x1c"],
  ["rar", 0, "Rar!\x1a\x07"],
  ["tar", 257, "ustar"],
  ["cpio", 0, "070701"],
  ["cpio", 0, "070702"],
  ["cpio", 0, "070707"],
  ["cpio", 0, "\xc7\x71"],
  ["ar", 0, "!<arch>\n"],
  ["rpm", 0, "\xed\xab\xee\xdb"],
  ["pdf", 0, "%PDF-"],
  ["program", 0, "\x7fELF"],
  ["squashfs", 0, "hsqs"],
  ["zfs stream", 8, "\xac\xcb\xba\xf5\x02\0\0\0"],
  ["vmdk", 0, "KDMV"],
  ["vmdk", 0, "COWD"],
  ["vmdk", 0, "# Disk DescriptorFile"],
  ["vhd", 0, "conectix"],
  ["vhdx", 0, "vhdxfile"],
  ["vdi", 0, "<<< "],
  ["vdi", 64, "\x7f\x10\xda\xbe"],
  ["qed", 0, "QED\0"],
  ["parallels", 0, "WithoutFreeSpace"],
  ["parallels", 0, "WithouFreSpacExt"],
  ["bochs", 0, "Bochs Virtual HD Image"],
  ["luks", 0, "LUKS\xba\xbe"],
  ["wim", 0, "MSWIM\0\0\0"],
  ["android sparse image", 0, "\x3a\xff\x26\xed"],
  ["iso9660", 32_769, "CD001"],
  ["iso9660", 32_769, "BEA01"],
];

/** Signatures at this distance in bytes from the end. */
const tailSignatures: readonly (readonly [kind: FileKind, bytes: string])[] = [
  ["vhd", "conectix"],
  ["dmg", "koly"],
];

const sectorBytes = 512;
const headBytes = 33 * 1024;

/** Detects the kind of the file behind `handle` from its first 33 KiB and its last sector. */
export async function detectKind(handle: FileHandle): Promise<FileKind> {
  const head = await readPart(handle, 0, headBytes);
  const text = head.toString("latin1");
  for (const [kind, at, bytes] of signatures) {
    if (text.startsWith(bytes, at)) return kind;
  }
  if (isSkippableFrame(head)) return "zstd";
  if (isTarHeader(head)) return "tar";
  if (isLzmaHeader(head)) return "lzma";
  const words = textKind(head.subarray(0, 4096));
  return words ?? (await detectByTail(handle)) ?? "raw";
}

/** True when a first sector ends with 55 AA, which BIOS and EFI require of a boot disk. */
export function hasBootSignature(sector: Buffer): boolean {
  return sector.length >= sectorBytes && sector.readUInt16LE(510) === 0xaa55;
}

/** Reads at most `length` bytes from `position`; fewer at the end of the file. */
export async function readPart(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function detectByTail(handle: FileHandle): Promise<FileKind | null> {
  const { size } = await handle.stat();
  if (size < 2 * sectorBytes) return null;
  const tail = (await readPart(handle, size - sectorBytes, sectorBytes)).toString("latin1");
  return tailSignatures.find(([, bytes]) => tail.startsWith(bytes))?.[0] ?? null;
}

/** True for a skippable frame, with which zstd and lz4 files may begin (RFC 8878, 3.1.2). */
function isSkippableFrame(head: Buffer): boolean {
  return head.length >= 8 && (head.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50;
}

/**
 * True for a tar header. Old tars have no signature, but every header has the checksum of its bytes, with spaces in the
 * checksum's field.
 */
function isTarHeader(head: Buffer): boolean {
  if (head.length < sectorBytes || head[0] === 0) return false;
  const stored = /^ *([0-7]{1,8})[ \0]/.exec(head.toString("latin1", 148, 156))?.[1];
  if (stored === undefined) return false;
  const sum = head.subarray(0, sectorBytes).reduce((total, byte) => total + byte, 0);
  const ownBytes = head.subarray(148, 156).reduce((total, byte) => total + byte, 0);
  return Number.parseInt(stored, 8) === sum - ownBytes + 8 * 0x20;
}

/** Applies liblzma's test of the old format, which has no signature: plausible properties, dictionary and length. */
function isLzmaHeader(head: Buffer): boolean {
  if (head.length < 13 || (head[0] ?? 0) > 224 || hasBootSignature(head)) return false;
  const dictionary = head.readUInt32LE(1);
  const highest = 2 ** Math.floor(Math.log2(dictionary || 1));
  const isUsual = [0xffffffff, highest, highest * 1.5].includes(dictionary) && dictionary >= 4096;
  const length = head.readBigUInt64LE(5);
  return isUsual && (length === 2n ** 64n - 1n || length < 2n ** 38n);
}

/** Detects pages and messages that a server sends instead of a file: no disk begins with words or lines of text only. */
function textKind(head: Buffer): FileKind | null {
  const text = decodeText(head)?.trim() ?? "";
  if (text.startsWith("<")) return "web page";
  return /[\s{]/.test(text) ? "text file" : null;
}

/** Decodes text; null when it has characters that text never has. The piece may end in the middle of a character. */
function decodeText(head: Buffer): string | null {
  const mark = head.toString("latin1", 0, 2);
  const encoding = mark === "\xff\xfe" ? "utf-16le" : mark === "\xfe\xff" ? "utf-16be" : "utf-8";
  const text = new TextDecoder(encoding).decode(head, { stream: true });
  return /[^\P{Cc}\s]|\ufffd/u.test(text) ? null : text;
}
