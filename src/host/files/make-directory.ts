import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a directory where it is missing, and its parents, with just this mode: what `mkdir` alone makes depends on the umask
 * that this process inherited. Directories that are there keep theirs.
 */
export function makeDirectory(path: string, mode: number): void {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first === undefined) return;
  const last = dirname(first);
  for (let made = path; made !== last && made !== dirname(made); made = dirname(made)) chmodSync(made, mode);
}

/** For directories that QEMU's user passes through on the way to its disks: others cannot list them. */
export const passableMode = 0o711;
