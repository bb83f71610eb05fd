import { type ErrorCode, isSolsticeError, SolsticeError } from "../core/errors.ts";
import { convertDiskFull } from "../host/files/disk-full.ts";
import { formatBytes } from "../host/files/disk-space.ts";

/** Failures with these codes stay until a person, or the publisher of the image, does something. */
const permanentCodes: readonly ErrorCode[] = [
  "config_invalid",
  "host_missing_tool",
  "image_invalid",
  "image_unavailable",
  "not_found",
];

/** True when trying again soon is pointless. */
export function isPermanent(error: unknown): boolean {
  return isSolsticeError(error) && permanentCodes.includes(error.code);
}

/** The file is not the image that the map promises. */
export function imageInvalid(message: string, remedy: string, cause?: unknown): SolsticeError {
  return new SolsticeError("image_invalid", message, { remedy, cause });
}

/** There is no room for `neededBytes` more at `path`. */
export function diskFull(path: string, neededBytes: number, freeBytes: number): SolsticeError {
  return new SolsticeError(
    "disk_full",
    `${path} needs ${formatBytes(neededBytes)} of free space, and there are ${formatBytes(freeBytes)}.`,
    { remedy: "Free some space there, or give the image another local_path." },
  );
}

/** Converts what the file system throws when the disk is full; everything else is returned as it is. */
export function convertWriteError(error: unknown, path: string): unknown {
  return convertDiskFull(error, path, "Free some space there, or give the image another local_path.");
}
