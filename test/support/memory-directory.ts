import { readFileSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";

/** A file system in memory. */
const inMemory = "/dev/shm";

/** The free space that is needed: a container may have 64 MB in all. */
const enoughBytes = 2 * 1024 ** 3;

const isUsable = hasSpace() && mayStartPrograms();

/**
 * The directory for the data of a test's servers, databases and orchestrators: in memory, where a commit waits for no
 * disk and `kill -9` loses no written data; tests need a fifth less processor time. `otherwise` when too little
 * memory is free, or when programs may not be started from memory, as in some containers.
 */
export function memoryDirectory(otherwise = tmpdir()): string {
  return isUsable ? inMemory : otherwise;
}

function hasSpace(): boolean {
  try {
    const { bavail, bsize } = statfsSync(inMemory);
    return bavail * bsize >= enoughBytes;
  } catch {
    return false;
  }
}

function mayStartPrograms(): boolean {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  const options = mounts.findLast((line) => line.split(" ")[1] === inMemory)?.split(" ")[3] ?? "";
  return !options.split(",").includes("noexec");
}
