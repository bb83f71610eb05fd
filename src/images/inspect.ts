import { readFile, stat } from "node:fs/promises";
import { errorText } from "../core/errors.ts";
import type { ImageDefinition } from "../core/image-map/image-map.ts";
import { readLockHolder, tryAcquireProcessLock } from "../host/process-lock.ts";
import { imageFiles } from "./image-files.ts";
import type { ImageLimits } from "./limits.ts";
import { findReadyImage, hasComparableChecksum } from "./prepare/find-ready-image.ts";
import { readFailure } from "./prepare/last-failure.ts";
import type { ImageFormat } from "./types.ts";

/** What is on disk of one image, for `solstice images`. */
export interface ImageRow {
  readonly name: string;
  readonly path: string;
  /** `partial`: some of it was downloaded, and nobody is at it now. `invalid`: a file is there that cannot be used. */
  readonly state: "ready" | "missing" | "partial" | "preparing" | "invalid";
  readonly format: ImageFormat | null;
  readonly virtualSizeBytes: number | null;
  readonly fileSizeBytes: number | null;
  /** Null also where it has not been computed yet. */
  readonly digest: string | null;
  /** Downloaded so far, and of how many, where it is not ready. */
  readonly partialBytes: number | null;
  readonly totalBytes: number | null;
  /** The process that prepares it. */
  readonly holderPid: number | null;
  /** What is wrong with it, or why the last try to fetch it failed, and what to do. */
  readonly message: string | null;
}

/** Looks at the disk only: needs no running orchestrator, changes nothing, and never reads a whole image. */
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
    // Comparing a checksum reads the whole file, which a listing must not.
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

/** Whether some process holds the lock of a preparation. */
export async function isPreparing(lockPath: string): Promise<boolean> {
  const exists = await stat(lockPath).catch(() => null);
  if (!exists) return false;
  try {
    const lock = tryAcquireProcessLock(lockPath, "looking whether it is free");
    lock?.release();
    return lock === null;
  } catch {
    // A user who may not write there cannot ask the lock, but can see who said to hold it.
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
