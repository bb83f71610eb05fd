import { open, readdir, realpath } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { hasErrorCode } from "../../host/error-code.ts";

/** The longest name that the format allows, in bytes (QEMU's `docs/interop/qcow2.txt`). */
const maxNameBytes = 1023;

const headerBytes = 20;

/**
 * Returns the real paths of all backing files of the qcow2 files below `directory` (its own files, and those of its
 * subdirectories). Throws when one of them cannot be read, because the list would be incomplete.
 */
export async function listBackingFiles(directory: string): Promise<Set<string>> {
  const found = new Set<string>();
  for (const path of await filesBelow(directory)) {
    const backing = await backingFile(path);
    if (backing !== null) found.add(await realpath(backing).catch(() => backing));
  }
  return found;
}

/** Returns the backing file of the qcow2 at `path`; null when it has none, is not a qcow2, or no longer exists. */
export async function backingFile(path: string): Promise<string | null> {
  try {
    await using handle = await open(path);
    const { buffer: header, bytesRead } = await handle.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    if (bytesRead < headerBytes || header.toString("latin1", 0, 4) !== "QFI\xfb") return null;
    const offset = Number(header.readBigUInt64BE(8));
    const length = header.readUInt32BE(16);
    if (offset === 0 || length === 0) return null;
    if (length > maxNameBytes) throw new RangeError(`${path} names a backing file of ${length} bytes.`);
    const name = await handle.read(Buffer.alloc(length), 0, length, offset);
    return resolve(dirname(path), name.buffer.toString("utf8", 0, name.bytesRead));
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return null;
    throw error;
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await entriesOf(directory)) {
    const path = join(directory, entry.name);
    if (entry.isFile()) files.push(path);
    if (!entry.isDirectory()) continue;
    const inner = await entriesOf(path);
    files.push(...inner.filter((file) => file.isFile()).map((file) => join(path, file.name)));
  }
  return files;
}

async function entriesOf(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return [];
    throw error;
  }
}
