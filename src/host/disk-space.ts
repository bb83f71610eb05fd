import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { hasErrorCode } from "./error-code.ts";

/** Bytes that this user can still write at `path`; a path that does not exist yet counts as its nearest parent. */
export async function freeBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(path);
    if (parent === path || !hasErrorCode(error, "ENOENT")) throw error;
    return freeBytes(parent);
  }
}

/** `bytes` for people: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
