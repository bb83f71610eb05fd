import type { FileHandle } from "node:fs/promises";

/** Writes all bytes, at `position` or after the last write: one write(2) may accept only a part. */
export async function writeWhole(
  file: FileHandle,
  bytes: Uint8Array,
  position: number | null = null,
): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) {
    const at = position === null ? null : position + written;
    const { bytesWritten } = await file.write(bytes, written, bytes.byteLength - written, at);
    written += bytesWritten;
  }
}
