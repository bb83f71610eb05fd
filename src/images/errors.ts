import { type ErrorCode, isSolsticeError, SolsticeError } from "../core/errors.ts";
import { convertDiskFull } from "../host/files/disk-full.ts";
import { formatBytes } from "../host/files/disk-space.ts";

/** Codes of failures that stay until the operator, or the publisher of the image, acts. */
const permanentCodes: readonly ErrorCode[] = [
  "config_invalid",
  "host_missing_tool",
  "image_invalid",
  "image_unavailable",
  "not_found",
];

/** True when a retry soon would fail again. */
export function isPermanent(error: unknown): boolean {
  return isSolsticeError(error) && permanentCodes.includes(error.code);
}

/** The error for a file that is not the image of the map. */
export function imageInvalid(message: string, remedy: string, cause?: unknown): SolsticeError {
  return new SolsticeError("image_invalid", message, { remedy, cause });
}

/** The error for a disk without room for `neededBytes` more at `path`. */
export function diskFull(path: string, neededBytes: number, freeBytes: number): SolsticeError {
  return new SolsticeError(
    "disk_full",
    `${path} needs ${formatBytes(neededBytes)} of free space, and has ${formatBytes(freeBytes)}.`,
    { remedy: "Free some space there, or give the image another local_path." },
  );
}

/** Converts the file system's error for a full disk; returns everything else unchanged. */
export function convertWriteError(error: unknown, path: string): unknown {
  return convertDiskFull(error, path, "Free some space there, or give the image another local_path.");
}
