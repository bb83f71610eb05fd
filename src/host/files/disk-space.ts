import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { SolsticeError } from "../../core/errors.ts";
import { type RunCommand, runCommand } from "../command.ts";
import { hasErrorCode } from "../error-code.ts";

/** How the system is asked; for tests. */
export interface SpaceSource {
  readonly platform: NodeJS.Platform;
  readonly run: RunCommand;
}

const thisHost: SpaceSource = { platform: process.platform, run: runCommand };

/** Bytes that this user can still write at `path`; a path that does not exist yet counts as its nearest parent. */
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
 * As df(8) of illumos says it. There statvfs(2) counts blocks in units of `f_frsize`, 512 bytes on ZFS, and Node tells only
 * `f_bsize`, 128 KiB: their product would be 256 times what is free.
 */
async function freeBytesByDf(path: string, run: RunCommand): Promise<number> {
  const { stdout } = await run("df", ["-k", path], { deadlineSeconds: 20 });
  const free = availableBytes(stdout);
  if (free !== null) return free;
  throw new SolsticeError("internal", `df does not say what is free at ${path}: ${stdout.slice(0, 500)}`);
}

/** Bytes that can still be written to a ZFS dataset, within its pool and its quotas. Throws what zfs says. */
export async function freeBytesOfDataset(dataset: string, run: RunCommand = runCommand): Promise<number> {
  const args = ["get", "-Hp", "-o", "value", "available", dataset];
  const { stdout } = await run("zfs", args, { deadlineSeconds: 20 });
  if (/^\d+$/.test(stdout.trim())) return Number(stdout);
  throw new SolsticeError("internal", `zfs does not say what is free in ${dataset}: ${stdout.slice(0, 500)}`);
}

/**
 * The bytes that `df -k` of one path calls available; null where that is not to be read. Its table has one file system,
 * whose name may be on a line of its own when it is long.
 */
export function availableBytes(output: string): number | null {
  const [, ...lines] = output.trim().split("\n");
  const [, , , available = ""] = lines.join(" ").split(/\s+/);
  return lines.length > 0 && /^\d+$/.test(available) ? Number(available) * 1024 : null;
}

/** `bytes` for people: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
