import { SolsticeError } from "../../core/errors.ts";

/**
 * Converts the error of a file system whose disk (or quota) is full into `disk_full`; returns every other error
 * unchanged. `remedy` replaces the text for callers where freeing space is not the only remedy.
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
