import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { SolsticeError } from "../../core/errors.ts";
import { type RunCommand, runCommand } from "../command.ts";
import { hasErrorCode } from "../error-code.ts";

/** System calls that report free space; tests replace them. */
export interface SpaceSource {
  readonly platform: NodeJS.Platform;
  readonly run: RunCommand;
}

const thisHost: SpaceSource = { platform: process.platform, run: runCommand };

/**
 * Returns the bytes that this user can still write at `path`; for a path that does not exist yet, at its nearest
 * parent.
 */
export async function freeBytes(path: string, source: SpaceSource = thisHost): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return source.platform === "sunos" ? await freeBytesByDf(path, source.run) : bavail * bsize;
  } catch (error) {
    const parent = dirname(path);
    if (parent === path || !hasErrorCode(error, "ENOENT")) throw error;
    return freeBytes(parent, source);
  }
}

/**
 * Reads the free space from df(8) on illumos. There statvfs(2) counts blocks in units of `f_frsize`, 512 bytes on ZFS,
 * and Node reports only `f_bsize`, 128 KiB: their product would be 256 times the free space.
 */
async function freeBytesByDf(path: string, run: RunCommand): Promise<number> {
  const { stdout } = await run("df", ["-k", path], { deadlineSeconds: 20 });
  const free = availableBytes(stdout);
  if (free !== null) return free;
  throw new SolsticeError(
    "internal",
    `No free space found in the output of df for ${path}: ${stdout.slice(0, 500)}`,
  );
}

/**
 * Returns the bytes that can still be written to a ZFS dataset, within its pool and its quotas. Throws the error of the
 * zfs command.
 */
export async function freeBytesOfDataset(dataset: string, run: RunCommand = runCommand): Promise<number> {
  const args = ["get", "-Hp", "-o", "value", "available", dataset];
  const { stdout } = await run("zfs", args, { deadlineSeconds: 20 });
  if (/^\d+$/.test(stdout.trim())) return Number(stdout);
  throw new SolsticeError(
    "internal",
    `No free space found in the output of zfs for ${dataset}: ${stdout.slice(0, 500)}`,
  );
}

/**
 * Returns the available bytes in the output of `df -k PATH`, or null when the output has no such number. The table has
 * one file system; a long name is on its own line.
 */
export function availableBytes(output: string): number | null {
  const [, ...lines] = output.trim().split("\n");
  const [, , , available = ""] = lines.join(" ").split(/\s+/);
  return lines.length > 0 && /^\d+$/.test(available) ? Number(available) * 1024 : null;
}

/** Formats a number of bytes for people: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
