import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";

/** A file system in memory: commits do not wait for a disk there, and `kill -9` of a process loses nothing of what it wrote. */
const inMemory = "/dev/shm";

/** So much must be free: a container may have 64 MB. */
const enoughBytes = 2 * 1024 ** 3;

/** Where servers and databases of tests have their data: in memory, or where that has too little space, where other temporary files are. */
export const memoryDirectory: string = hasSpace() ? inMemory : tmpdir();

function hasSpace(): boolean {
  try {
    const { bavail, bsize } = statfsSync(inMemory);
    return bavail * bsize >= enoughBytes;
  } catch {
    return false;
  }
}
