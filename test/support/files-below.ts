import { type Dirent, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A file of a directory that other processes change. */
export interface FileBelow {
  readonly path: string;
  /** Its size in bytes when it was found. */
  readonly bytes: number;
}

/**
 * All files below a directory and its subdirectories, without links; empty when the directory does not exist. A file
 * or directory that the product removes during the walk is left out: `readdirSync` with `recursive`, and `statSync`
 * of its names, would throw then.
 */
export function filesBelow(directory: string): readonly FileBelow[] {
  return entriesOf(directory).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return stats?.isFile() ? [{ path, bytes: stats.size }] : [];
  });
}

/** The bytes of a file as characters of one byte each; empty when the file has been removed. */
export function bytesIfPresent(path: string): string {
  return unlessRemoved(() => readFileSync(path, "latin1"), "");
}

function entriesOf(directory: string): readonly Dirent[] {
  return unlessRemoved(() => readdirSync(directory, { withFileTypes: true }), []);
}

function unlessRemoved<Value>(read: () => Value, otherwise: Value): Value {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return otherwise;
  }
}
