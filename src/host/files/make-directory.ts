import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Creates a directory and its missing parents with exactly this mode: the result of `mkdir` alone depends on the
 * inherited umask. Existing directories keep their mode.
 */
export function makeDirectory(path: string, mode: number): void {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first === undefined) return;
  const last = dirname(first);
  for (let made = path; made !== last && made !== dirname(made); made = dirname(made)) chmodSync(made, mode);
}

/** Mode of directories on QEMU's path to its disks: other users can enter them, but not list them. */
export const passableMode = 0o711;
