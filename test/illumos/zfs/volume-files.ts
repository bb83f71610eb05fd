import { spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";

/** Makes the empty file of a new volume. */
export function createVolumeFile(path: string, bytes: number): void {
  closeSync(openSync(path, "wx", 0o600));
  truncateSync(path, bytes);
}

/**
 * Gives a snapshot or a clone the bytes of another file. They share the bytes by a hard link, as zfs shares blocks,
 * until one of them is written to: see {@link unshare}. A file that a guest is writing to is copied.
 */
export function shareVolumeFile(from: string, to: string, { isWrittenTo = false } = {}): void {
  rmSync(to, { force: true });
  if (isWrittenTo) copySparse(from, to);
  else linkSync(from, to);
}

/** Makes an own copy of this volume's file before a write. */
export function unshare(path: string): void {
  if (statSync(path).nlink === 1) return;
  const copy = `${path}.copy`;
  copySparse(path, copy);
  renameSync(copy, path);
}

/** Grows or shrinks a volume. */
export function resizeVolumeFile(path: string, bytes: number): void {
  unshare(path);
  truncateSync(path, bytes);
}

/** Bytes of the file's blocks when it shares them with no other. */
export function ownBytes(path: string): number {
  const { nlink, blocks } = statSync(path);
  return nlink > 1 ? 0 : blocks * 512;
}

/** Bytes of the file's blocks, shared or not. */
export function referencedBytes(path: string): number {
  return statSync(path).blocks * 512;
}

/** A file below this size, in bytes, is copied with its holes filled: that takes less time than starting a program. */
const smallBytes = 4 * 1024 ** 2;

function copySparse(from: string, to: string): void {
  if (statSync(from).size < smallBytes) {
    copyFileSync(from, to);
    return;
  }
  const { status, stderr } = spawnSync("cp", ["--sparse=always", "--reflink=auto", from, to], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`cp of a volume failed: ${stderr}`);
}
