import { type FileHandle, open, stat } from "node:fs/promises";
import { hasErrorCode } from "../../../host/error-code.ts";

/** virtlogd keeps three old parts beside the current one (`max_backups` of virtlogd.conf), each of 2 MiB. */
const OLD_PARTS = [2, 1, 0];
const ATTEMPTS = 3;

/**
 * Reads at most `maxBytes` of a guest's console from byte `offset`. virtlogd (which owns the files, as root) renames
 * `console.log` to `console.log.0` when it is full; offsets count through all parts, oldest first. A guest that writes
 * more than 8 MiB, the size that is kept, loses the beginning, and the rest moves to smaller offsets. Without root, the
 * console is not readable and counts as empty.
 */
export async function readConsole(path: string, offset: number, maxBytes: number): Promise<Buffer> {
  const parts = await openParts(path);
  try {
    return await readAcross(parts, offset, maxBytes);
  } finally {
    await Promise.all(parts.map((part) => part.close()));
  }
}

/**
 * Opens all parts, oldest first; again when virtlogd renamed them meanwhile, because a part would be missing or double.
 */
async function openParts(path: string): Promise<FileHandle[]> {
  const names = [...OLD_PARTS.map((number) => `${path}.${number}`), path];
  for (let attempt = 1; ; attempt += 1) {
    const parts: FileHandle[] = [];
    for (const name of names) {
      const part = await openIfPresent(name);
      if (part) parts.push(part);
    }
    if (attempt >= ATTEMPTS || (await newestIs(path, parts.at(-1)))) return parts;
    await Promise.all(parts.map((part) => part.close()));
  }
}

async function openIfPresent(path: string): Promise<FileHandle | null> {
  try {
    return await open(path);
  } catch (error) {
    if (hasErrorCode(error, "ENOENT", "EACCES")) return null;
    throw error;
  }
}

async function newestIs(path: string, part: FileHandle | undefined): Promise<boolean> {
  const now = await stat(path).catch(() => null);
  return now?.ino === (await part?.stat())?.ino;
}

async function readAcross(parts: FileHandle[], offset: number, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let skip = offset;
  let wanted = maxBytes;
  for (const part of parts) {
    const { size } = await part.stat();
    if (skip < size && wanted > 0) {
      const length = Math.min(size - skip, wanted);
      const { bytesRead, buffer } = await part.read(Buffer.alloc(length), 0, length, skip);
      chunks.push(buffer.subarray(0, bytesRead));
      wanted -= bytesRead;
    }
    skip = Math.max(0, skip - size);
  }
  return Buffer.concat(chunks);
}
