import { readFile, stat } from "node:fs/promises";
import { errorText } from "../core/errors.ts";
import type { ImageDefinition } from "../core/image-map/image-map.ts";
import { readLockHolder, tryAcquireProcessLock } from "../host/process-lock.ts";
import { imageFiles } from "./image-files.ts";
import type { ImageLimits } from "./limits.ts";
import { findReadyImage, hasComparableChecksum } from "./prepare/find-ready-image.ts";
import { readFailure } from "./prepare/last-failure.ts";
import type { ImageFormat } from "./types.ts";

/** State of one image on disk, for `solstice images`. */
export interface ImageRow {
  readonly name: string;
  readonly path: string;
  /** `partial`: partly downloaded, with no preparation running. `invalid`: the file cannot be used. */
  readonly state: "ready" | "missing" | "partial" | "preparing" | "invalid";
  readonly format: ImageFormat | null;
  readonly virtualSizeBytes: number | null;
  readonly fileSizeBytes: number | null;
  /** Null also before the digest is computed. */
  readonly digest: string | null;
  /** Bytes downloaded so far and the total, while the image is not ready. */
  readonly partialBytes: number | null;
  readonly totalBytes: number | null;
  /** Process id of a running preparation. */
  readonly holderPid: number | null;
  /** Reason why the image is invalid or the last download failed, with the remedy. */
  readonly message: string | null;
}

/** Reads the state from the disk only: needs no running orchestrator, changes nothing, and never reads a whole image. */
export function inspectImages(
  definitions: readonly ImageDefinition[],
  context: { readonly dataDir: string; readonly limits: ImageLimits },
): Promise<ImageRow[]> {
  return Promise.all(definitions.map((definition) => inspectOne(definition, context)));
}

async function inspectOne(
  definition: ImageDefinition,
  context: { readonly dataDir: string; readonly limits: ImageLimits },
): Promise<ImageRow> {
  const { name, localPath } = definition;
  const row = { ...emptyRow, name, path: localPath };
  try {
    // A checksum comparison reads the whole file, which is too slow for a listing.
    const checksum = hasComparableChecksum(definition) ? null : definition.checksum;
    const unchecked = { ...definition, checksum };
    const signal = new AbortController().signal;
    const ready = await findReadyImage(unchecked, { ...context, signal, report() {} });
    if (ready) return { ...row, ...ready, state: "ready" };
  } catch (error) {
    return { ...row, state: "invalid", message: errorText(error) };
  }
  return { ...row, ...(await inspectPreparation(localPath)) };
}

const emptyRow = {
  state: "missing",
  format: null,
  virtualSizeBytes: null,
  fileSizeBytes: null,
  digest: null,
  partialBytes: null,
  totalBytes: null,
  holderPid: null,
  message: null,
} as const;

async function inspectPreparation(
  localPath: string,
): Promise<Pick<ImageRow, "state" | "partialBytes" | "totalBytes" | "holderPid" | "message">> {
  const files = imageFiles(localPath);
  const part = await stat(files.part).catch(() => null);
  const partialBytes = part?.size || null;
  const failure = await readFailure(files);
  const message = failure && `${new Date(failure.at).toISOString()}: ${failure.message}`;
  const totalBytes = await readTotalBytes(files.partState);
  if (await isPreparing(files.lock)) {
    const holderPid = readLockHolder(files.lock)?.pid ?? null;
    return { state: "preparing", partialBytes, totalBytes, holderPid, message };
  }
  return { state: partialBytes ? "partial" : "missing", partialBytes, totalBytes, holderPid: null, message };
}

/** True when a process holds the lock of a preparation. */
export async function isPreparing(lockPath: string): Promise<boolean> {
  const exists = await stat(lockPath).catch(() => null);
  if (!exists) return false;
  try {
    const lock = tryAcquireProcessLock(lockPath, "checking whether the lock is free");
    lock?.release();
    return lock === null;
  } catch {
    // A user without write access cannot try the lock, but can read the recorded holder.
    return readLockHolder(lockPath) !== null;
  }
}

async function readTotalBytes(partState: string): Promise<number | null> {
  try {
    const { totalBytes } = JSON.parse(await readFile(partState, "utf8"));
    return typeof totalBytes === "number" ? totalBytes : null;
  } catch {
    return null;
  }
}
