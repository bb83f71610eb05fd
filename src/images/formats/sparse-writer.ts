import type { FileHandle } from "node:fs/promises";

/** Size of a block that becomes a hole when it has only zeros. A multiple of every file system's block size. */
export const blockBytes = 64 * 1024;

const blocksPerBuffer = 16;
const zeroBlock = Buffer.alloc(blockBytes);

/**
 * Writes a stream to an empty file so that blocks of zeros become holes, because a raw disk image is mostly empty. Uses
 * one buffer of 1 MiB. Call `finish` at the end: it writes the rest and sets the length.
 */
export class SparseWriter {
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(blocksPerBuffer * blockBytes);
  #fill = 0;
  #flushed = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Number of bytes received so far. */
  get length(): number {
    return this.#flushed + this.#fill;
  }

  /** Writes the next bytes. The chunk may be reused once the promise resolves. */
  async write(chunk: Buffer): Promise<void> {
    for (let offset = 0; offset < chunk.length; ) {
      const taken = chunk.copy(this.#buffer, this.#fill, offset);
      offset += taken;
      this.#fill += taken;
      if (this.#fill === this.#buffer.length) await this.#flush();
    }
  }

  /** Writes the remaining bytes, and sets the file's length even when it ends in a hole. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#handle.truncate(this.#flushed);
  }

  async #flush(): Promise<void> {
    const filled = this.#buffer.subarray(0, this.#fill);
    for (const [start, end] of dataRuns(filled)) {
      await writeFully(this.#handle, filled.subarray(start, end), this.#flushed + start);
    }
    this.#flushed += this.#fill;
    this.#fill = 0;
  }
}

/** Ranges of `buffer`, in whole blocks, that contain other bytes than zeros. */
function* dataRuns(buffer: Buffer): Generator<[number, number]> {
  let start = -1;
  for (let offset = 0; offset < buffer.length; offset += blockBytes) {
    const block = buffer.subarray(offset, offset + blockBytes);
    const isZero = block.equals(
      block.length === blockBytes ? zeroBlock : zeroBlock.subarray(0, block.length),
    );
    if (isZero && start >= 0) yield [start, offset];
    if (isZero) start = -1;
    else if (start < 0) start = offset;
  }
  if (start >= 0) yield [start, buffer.length];
}

/** Writes all of `bytes` at `position`; one write may accept only a part. */
export async function writeFully(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, offset, bytes.length - offset, position + offset);
    offset += bytesWritten;
  }
}
