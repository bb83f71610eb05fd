import type { FileHandle } from "node:fs/promises";
import { formatBytes } from "../../host/files/disk-space.ts";
import { imageInvalid } from "../errors.ts";
import { hasBootSignature, readPart } from "./file-kind.ts";

const sectorBytes = 512;
const protective = 0xee;
/** Tolerance in bytes for a partition's end beyond the file, because tools for MBR tables round up to cylinders. */
const toleranceBytes = 8 * 1024 * 1024;
const gptEntriesMax = 1024;

/** Throws `image_invalid` when a partition of the raw disk behind `handle` ends beyond the file: the file is truncated. */
export async function requireWholePartitions(handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  const sector = await readPart(handle, 0, sectorBytes);
  if (!hasBootSignature(sector)) return;
  const entries = [446, 462, 478, 494].map((at) => sector.subarray(at, at + 16));
  // A file system without partitions has its own boot code in this place.
  if (entries.some((entry) => ((entry[0] ?? 0) & 0x7f) !== 0)) return;
  const ends = entries.some((entry) => entry[4] === protective)
    ? await gptEnds(handle, size)
    : entries.map((entry) => (entry[4] === 0 ? 0 : entry.readUInt32LE(8) + entry.readUInt32LE(12)));
  const end = Math.max(0, ...ends) * sectorBytes;
  if (end <= size + toleranceBytes) return;
  throw imageInvalid(
    `The disk is truncated: its partitions end at ${formatBytes(end)}, and the file has ${formatBytes(size)}.`,
    "Fetch or copy it again.",
  );
}

/** Ends of a GPT's partitions, in sectors (UEFI 2.10, 5.3); empty for a damaged table, which firmware may repair. */
async function gptEnds(handle: FileHandle, size: number): Promise<number[]> {
  const header = await readPart(handle, sectorBytes, sectorBytes);
  if (!header.toString("latin1").startsWith("EFI PART") || header.length < 92) return [];
  const count = Math.min(header.readUInt32LE(80), gptEntriesMax);
  const entryBytes = header.readUInt32LE(84);
  const start = Number(header.readBigUInt64LE(72)) * sectorBytes;
  if (entryBytes < 128 || entryBytes > 4096 || start > size) return [];
  const table = await readPart(handle, start, count * entryBytes);
  const ends: number[] = [];
  for (let at = 0; at + 128 <= table.length; at += entryBytes) {
    const isUsed = table.subarray(at, at + 16).some((byte) => byte !== 0);
    if (isUsed) ends.push(Number(table.readBigUInt64LE(at + 40)) + 1);
  }
  return ends;
}
