import type { FileHandle } from "node:fs/promises";

/** One frame of a zstd file, from byte `start` to before byte `end`. */
export interface ZstdFrame {
  readonly start: number;
  readonly end: number;
  /** Unpacked length, or null when the frame does not declare it. */
  readonly contentBytes: number | null;
  /** Size of the window: the unpacked bytes that must be in memory to unpack the next byte. */
  readonly windowBytes: number;
}

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const longestHeaderBytes = 18;
const blockHeaderBytes = 3;
const checksumBytes = 4;
const windowBytes = 4096;

/**
 * Finds the frames of the zstd file behind `handle` (RFC 8878, section 3) by reading only headers; skippable frames are
 * left out. A file may have many frames (pzstd, zstd -T, `cat a.zst b.zst`), and Node 24's decompressor silently drops
 * the data after the end of a frame within a chunk, so each frame needs a decompressor of its own. Throws an Error when
 * the file ends early or trailing data is not a frame.
 */
export async function* zstdFrames(handle: FileHandle, fileBytes: number): AsyncGenerator<ZstdFrame> {
  const reader = new WindowReader(handle);
  for (let start = 0; start < fileBytes; ) {
    const bytesRead = Math.min(longestHeaderBytes, fileBytes - start);
    const header = await reader.read(start, longestHeaderBytes);
    const magic = header.readUInt32LE(0);
    if (bytesRead >= 8 && (magic & 0xfffffff0) >>> 0 === skippableMagic) {
      start += 8 + header.readUInt32LE(4);
      continue;
    }
    if (bytesRead < 6 || magic !== frameMagic) throw new Error(`no zstd frame begins at byte ${start}`);
    const { headerBytes, contentBytes, windowBytes, hasChecksum } = parseFrameHeader(header);
    const blocksEnd = await findBlocksEnd(reader, start + headerBytes, fileBytes);
    const end = blocksEnd + (hasChecksum ? checksumBytes : 0);
    if (end > fileBytes) throw new Error("the zstd file ends in the middle of a frame");
    yield { start, end, contentBytes, windowBytes };
    start = end;
  }
}

function parseFrameHeader(header: Buffer) {
  const descriptor = header.readUInt8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentField = descriptor >> 6;
  const contentFieldBytes = contentField === 0 ? (isSingleSegment ? 1 : 0) : 1 << contentField;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentAt = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes;
  const contentBytes = readContentSize(header, contentAt, contentFieldBytes);
  return {
    headerBytes: contentAt + contentFieldBytes,
    contentBytes,
    windowBytes: isSingleSegment ? (contentBytes ?? 0) : readWindowSize(header.readUInt8(5)),
    hasChecksum: (descriptor & 4) !== 0,
  };
}

function readWindowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function readContentSize(header: Buffer, at: number, fieldBytes: number): number | null {
  if (fieldBytes === 0) return null;
  if (fieldBytes === 8) return Number(header.readBigUInt64LE(at));
  // The field of two bytes counts from 256.
  return header.readUIntLE(at, fieldBytes) + (fieldBytes === 2 ? 256 : 0);
}

async function findBlocksEnd(reader: WindowReader, first: number, fileBytes: number): Promise<number> {
  for (let at = first; at + blockHeaderBytes <= fileBytes; ) {
    const header = await reader.read(at, blockHeaderBytes);
    const block = header.readUIntLE(0, blockHeaderBytes);
    const isRunLength = ((block >> 1) & 3) === 1;
    at += blockHeaderBytes + (isRunLength ? 1 : block >> 3);
    if ((block & 1) === 1) return at;
  }
  throw new Error("the zstd file ends in the middle of a frame");
}

/**
 * Reads a few bytes at growing offsets through a window: blocks of zeros are so small that thousands lie in one window.
 */
class WindowReader {
  readonly #handle: FileHandle;
  readonly #window = Buffer.alloc(windowBytes);
  #start = 0;
  #length = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Returns `length` bytes from `position`, with zeros beyond the end of the file. Valid until the next call. */
  async read(position: number, length: number): Promise<Buffer> {
    if (position < this.#start || position + length > this.#start + this.#length) {
      const { bytesRead } = await this.#handle.read(this.#window, 0, windowBytes, position);
      this.#window.fill(0, bytesRead);
      this.#start = position;
      this.#length = windowBytes;
    }
    const offset = position - this.#start;
    return this.#window.subarray(offset, offset + length);
  }
}
