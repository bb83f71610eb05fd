import { SolsticeError } from "../../core/errors.ts";

/** A file of a seed image, in its only directory. */
export interface ImageFile {
  /** Lower-case letters, digits, dots and dashes. */
  readonly name: string;
  readonly content: string;
}

/**
 * Geometry of a floppy disk of 1440 KiB, which every reader of FAT supports, on a medium that is marked as a hard disk.
 * One cluster is one sector, and the number of clusters is small enough for FAT12: that number alone decides the type.
 */
const sectorBytes = 512;
const sectors = 2880;
const fatSectors = 9;
const rootEntries = 224;
const entryBytes = 32;
const rootSector = 1 + 2 * fatSectors;
const firstDataSector = rootSector + (rootEntries * entryBytes) / sectorBytes;
const clusters = sectors - firstDataSector;
const hardDisk = 0xf8;

/**
 * Builds a disk image without partitions that is one FAT12 file system with this label and these files (Microsoft's
 * "FAT: General Overview of On-Disk Format", 1.03). The size is always the same. The label is written unchanged, also
 * in lower case, in boot sector and root directory: illumos' libfstyp reads the latter and compares exactly. Throws
 * `limit_exceeded` when the files do not fit.
 */
export function buildFatImage(label: string, files: readonly ImageFile[]): Buffer {
  const image = Buffer.alloc(sectors * sectorBytes);
  writeBootSector(image, label);
  const entries = [labelEntry(label)];
  const fat = [0xf00 | hardDisk, 0xfff];
  for (const [at, { name, content }] of files.entries()) {
    const bytes = Buffer.from(content);
    const first = fat.length;
    const count = Math.ceil(bytes.length / sectorBytes);
    if (first + count > clusters + 2) throw tooLarge();
    for (let left = count; left > 0; left--) fat.push(left === 1 ? 0xfff : fat.length + 1);
    bytes.copy(image, (firstDataSector + first - 2) * sectorBytes);
    entries.push(...fileEntries(name, at + 1, { first: count === 0 ? 0 : first, size: bytes.length }));
  }
  if (entries.length > rootEntries) throw tooLarge();
  Buffer.concat(entries).copy(image, rootSector * sectorBytes);
  for (const copy of [0, 1]) pack12(fat).copy(image, (1 + copy * fatSectors) * sectorBytes);
  return image;
}

function tooLarge(): SolsticeError {
  return new SolsticeError("limit_exceeded", "The seed does not fit on a FAT image of 1440 KiB.");
}

function writeBootSector(image: Buffer, label: string): void {
  image.set([0xeb, 0x3c, 0x90], 0);
  image.write("SOLSTICE", 3, "latin1");
  image.writeUInt16LE(sectorBytes, 11);
  image.writeUInt8(1, 13); // sectors of a cluster
  image.writeUInt16LE(1, 14); // sectors before the first FAT
  image.writeUInt8(2, 16); // FATs
  image.writeUInt16LE(rootEntries, 17);
  image.writeUInt16LE(sectors, 19);
  image.writeUInt8(hardDisk, 21);
  image.writeUInt16LE(fatSectors, 22);
  image.writeUInt16LE(18, 24); // sectors of a track
  image.writeUInt16LE(2, 26); // heads
  image.writeUInt8(0x80, 36); // the BIOS's number of a first hard disk
  image.writeUInt8(0x29, 38); // volume number, label and type follow
  image.writeUInt32LE(0x501c1da7, 39);
  image.write(label.padEnd(11), 43, "latin1");
  image.write("FAT12   ", 54, "latin1");
  // A firmware that tries to boot this disk calls interrupt 18h, which reports that to its user, and then halts.
  image.set([0xcd, 0x18, 0xf4, 0xeb, 0xfd], 62);
  image.set([0x55, 0xaa], 510);
}

/** Packs two entries of twelve bits into three bytes. */
function pack12(fat: readonly number[]): Buffer {
  const packed = Buffer.alloc(Math.ceil(fat.length / 2) * 3);
  for (const [at, value] of fat.entries()) {
    const offset = Math.floor(at / 2) * 3;
    const shifted = at % 2 === 0 ? value : value << 12;
    packed.writeUIntLE(packed.readUIntLE(offset, 3) | shifted, offset, 3);
  }
  return packed;
}

/** The first day of FAT's calendar: the time in a seed is not used. */
const date1980 = 0x21;

function shortEntry(name: string, attributes: number): Buffer {
  const entry = Buffer.alloc(entryBytes);
  entry.write(name, 0, 11, "latin1");
  entry.writeUInt8(attributes, 11);
  for (const offset of [16, 18, 24]) entry.writeUInt16LE(date1980, offset);
  return entry;
}

function labelEntry(label: string): Buffer {
  return shortEntry(label.padEnd(11), 0x08);
}

/** Number of UTF-16 units of a long name in one entry, and their offsets. */
const unitsOfEntry = 13;
const unitOffsets = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/** Returns the entries of a long name, last part first, and the short entry that they belong to. */
function fileEntries(
  name: string,
  number: number,
  { first, size }: { first: number; size: number },
): Buffer[] {
  const short = `${name
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, "")
    .slice(0, 6)}~${number}`.padEnd(11);
  const file = shortEntry(short, 0x20);
  file.writeUInt16LE(first, 26);
  file.writeUInt32LE(size, 28);
  // The name ends with a zero unless it fills its last entry; the units after the zero are all ones.
  const parts = Math.ceil(name.length / unitsOfEntry);
  const units = [...Buffer.from(name, "latin1"), 0, ...new Array<number>(unitsOfEntry).fill(0xffff)];
  const long = Array.from({ length: parts }, (_, part) => {
    const entry = Buffer.alloc(entryBytes);
    entry.writeUInt8(part + 1 === parts ? 0x40 | parts : part + 1, 0);
    entry.writeUInt8(0x0f, 11);
    entry.writeUInt8(checksum(short), 13);
    for (const [at, offset] of unitOffsets.entries())
      entry.writeUInt16LE(units[part * unitsOfEntry + at] ?? 0xffff, offset);
    return entry;
  });
  return [...long.reverse(), file];
}

/** Checksum that links the entries of a long name to the short entry. */
function checksum(short: string): number {
  return Buffer.from(short, "latin1").reduce((sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff, 0);
}
