import { SolsticeError } from "../../core/errors.ts";

/**
 * `disk_full` for what a file system throws when the disk (or a quota) is full; everything else is returned as it is.
 * `remedy` says how to correct it where freeing space is not all that helps.
 */
export function convertDiskFull(
  error: unknown,
  path: string,
  remedy = "Free space, or set another data directory.",
): unknown {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new SolsticeError("disk_full", `The disk became full while ${path} was written.`, {
    remedy,
    cause: error,
  });
}
