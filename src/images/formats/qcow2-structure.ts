import type { FileHandle } from "node:fs/promises";
import { imageInvalid } from "../errors.ts";
import { readPart } from "./file-kind.ts";

/** Fields of a qcow2 header that determine its structure (QEMU's docs/interop/qcow2.txt). */
export interface Qcow2Header {
  readonly virtualSizeBytes: number;
  readonly clusterBytes: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountOffset: number;
  readonly refcountClusters: number;
  /** 16 for clusters with 32 sub-clusters. */
  readonly l2EntryBytes: 8 | 16;
}

const headBytes = 512;
/** QEMU's own limit (QCOW_MAX_L1_SIZE). */
const l1BytesMax = 32 * 1024 * 1024;
const refcountBytesMax = 8 * 1024 * 1024;
const offsetMask = 0x00fffffffffffe00n;

/**
 * Reads the header of the qcow2 behind `handle`. Rejects a file that needs a key, or that makes QEMU open another file
 * of the host for the guest (a backing file, an external data file).
 */
export async function readQcow2Header(handle: FileHandle): Promise<Qcow2Header> {
  const head = await readPart(handle, 0, headBytes);
  const version = head.length < 104 ? 0 : head.readUInt32BE(4);
  const clusterBits = version === 0 ? 0 : head.readUInt32BE(20);
  if ((version !== 2 && version !== 3) || clusterBits < 9 || clusterBits > 21) {
    throw damaged("The qcow2 header is damaged or too new.");
  }
  const features = version === 3 ? head.readBigUInt64BE(72) : 0n;
  if (head.readBigUInt64BE(8) !== 0n) throw unsafeQcow2("a backing file");
  if ((features & 4n) !== 0n) throw unsafeQcow2("an external data file");
  if (head.readUInt32BE(32) !== 0) throw unsafeQcow2("encryption");
  if ((features & 2n) !== 0n) throw damaged("The qcow2 is marked as corrupt.");
  return {
    virtualSizeBytes: Number(head.readBigUInt64BE(24)),
    clusterBytes: 2 ** clusterBits,
    l1Entries: head.readUInt32BE(36),
    l1Offset: Number(head.readBigUInt64BE(40)),
    refcountOffset: Number(head.readBigUInt64BE(48)),
    refcountClusters: head.readUInt32BE(56),
    l2EntryBytes: (features & 16n) === 0n ? 8 : 16,
  };
}

/**
 * Checks every table of a qcow2. Throws `image_invalid` when an entry points beyond the end of the file, as in a
 * truncated file, or to an invalid cluster offset. Reads tables only: memory is bounded by the largest table that QEMU
 * accepts.
 */
export async function requireWholeQcow2(handle: FileHandle, header: Qcow2Header): Promise<void> {
  const { size } = await handle.stat();
  const { clusterBytes, l1Entries, l1Offset, refcountClusters, virtualSizeBytes, l2EntryBytes } = header;
  const l2Entries = clusterBytes / l2EntryBytes;
  const neededEntries = Math.ceil(virtualSizeBytes / (clusterBytes * l2Entries));
  if (l1Entries < neededEntries || l1Entries * 8 > l1BytesMax) {
    throw damaged("The qcow2 header does not fit its own disk size.");
  }
  if (refcountClusters === 0 || refcountClusters * clusterBytes > refcountBytesMax) {
    throw damaged("The qcow2 has no usable reference counts.");
  }
  const file = { handle, size, clusterBytes };
  const seen = new Set<number>();
  const refcounts = await readTable(file, header.refcountOffset, refcountClusters * clusterBytes);
  for (const offset of offsetsIn(refcounts, 8, 0xfffffffffffffe00n))
    requireInside(file, offset, clusterBytes);
  for (const offset of offsetsIn(await readTable(file, l1Offset, l1Entries * 8), 8, offsetMask)) {
    // A table that many entries name is read once: the work is bounded by the size of the file.
    if (seen.has(offset)) continue;
    seen.add(offset);
    await requireWholeL2(file, await readTable(file, offset, clusterBytes), l2EntryBytes);
  }
}

interface CheckedFile {
  readonly handle: FileHandle;
  readonly size: number;
  readonly clusterBytes: number;
}

/** The start of a cluster must be in the file; its end need not be, because the last cluster may be incomplete. */
async function requireWholeL2(file: CheckedFile, table: Buffer, entryBytes: number): Promise<void> {
  const clusterBits = Math.log2(file.clusterBytes);
  const compressedMask = (1n << BigInt(62 - (clusterBits - 8))) - 1n;
  for (let at = 0; at < table.length; at += entryBytes) {
    // Most entries of most images are empty, and big integers are slow.
    if (table.readUInt32BE(at) === 0 && table.readUInt32BE(at + 4) <= 1) continue;
    const entry = table.readBigUInt64BE(at);
    if ((entry & (1n << 62n)) !== 0n) {
      if (Number(entry & compressedMask) >= file.size) throw cutOff(file.size);
      continue;
    }
    const isZeros = (entry & 1n) !== 0n;
    const offset = Number(entry & offsetMask);
    if (offset !== 0 && !isZeros) requireInside(file, offset, 1);
  }
}

async function readTable(file: CheckedFile, offset: number, bytes: number): Promise<Buffer> {
  requireInside(file, offset, bytes);
  return await readPart(file.handle, offset, bytes);
}

function* offsetsIn(table: Buffer, entryBytes: number, mask: bigint): Generator<number> {
  for (let at = 0; at + entryBytes <= table.length; at += entryBytes) {
    const offset = Number(table.readBigUInt64BE(at) & mask);
    if (offset !== 0) yield offset;
  }
}

function requireInside(file: CheckedFile, offset: number, bytes: number): void {
  if (offset % file.clusterBytes !== 0 || offset === 0) {
    throw damaged("A table of the qcow2 points to an invalid cluster offset.");
  }
  if (offset + bytes > file.size) throw cutOff(file.size);
}

function cutOff(size: number) {
  return damaged(`The qcow2 is truncated: its tables point beyond its end, at ${size} bytes.`);
}

function damaged(message: string) {
  return imageInvalid(message, "Fetch or copy it again; qemu-img check FILE shows the damage.");
}

function unsafeQcow2(what: string) {
  return imageInvalid(
    `The qcow2 uses ${what}, which is not allowed.`,
    "Make it self-contained: qemu-img convert -O qcow2 OLD NEW",
  );
}
