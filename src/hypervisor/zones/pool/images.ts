import { createHash } from "node:crypto";
import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSolsticeError, SolsticeError } from "../../../core/errors.ts";
import type { GuestSpec } from "../../hypervisor.ts";
import { type CommandHost, executeOrThrow, executeWhenFree } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";
import { ownershipProperties } from "../ownership.ts";
import { findDataset } from "./datasets.ts";

/** Property with the time of an image's last use, in ms since the epoch; the retention of unused images counts from it. */
export const usedProperty = "solstice:used";

/** A volume's size, and each write of dd, must be a multiple of this block size. */
const blockBytes = 1024 * 1024;

/** Time limit for converting and writing one image. */
const importSeconds = 2 * 60 * 60;

/** Interval at which the time of the last use is recorded again, in ms. */
const noteEveryMs = 24 * 60 * 60 * 1000;

/** An image in the pool, ready to be cloned. */
export interface PooledImage {
  readonly snapshot: string;
  readonly bytes: number;
}

/** The images of this installation in the pool, each imported once for all concurrent callers. */
export interface ImageShelf {
  /**
   * Returns the image of a guest, and imports a missing one. Throws `image_unavailable`, `disk_full` and the errors of
   * commands.
   */
  take(spec: GuestSpec): Promise<PooledImage>;
  /** Keys of the images that this process has used, or is importing. */
  inUse(): ReadonlySet<string>;
}

/** Options of {@link createImageShelf}. */
export interface ImageShelfOptions extends CommandHost {
  readonly pool: string;
  readonly ownerId: string;
  /** Directory for converting an image during its import; emptied before each use. */
  readonly importsDir: string;
  /** Called after each import, when its image is already in use. */
  readonly afterImport: () => void;
}

/** Creates the shelf of one pool. Only one process uses it: the data directory has a lock. */
export function createImageShelf(options: ImageShelfOptions): ImageShelf {
  const importing = new Map<string, Promise<void>>();
  const notedAt = new Map<string, number>();
  return {
    inUse: () => new Set([...importing.keys(), ...notedAt.keys()]),
    async take(spec) {
      const key = await imageKey(spec);
      const running = importing.get(key) ?? ensureImported(options, key, spec);
      importing.set(key, running);
      try {
        await running;
      } finally {
        importing.delete(key);
      }
      await noteUse(options, key, notedAt);
      return pooledImage(options, key);
    },
  };
}

/**
 * Returns the key of an image in the pool: the same content has the same key. Without a digest, the key is the file's
 * identity; such an import is used until the digest is known, and removed when it is unused.
 */
export async function imageKey({ imageDigest, imagePath }: GuestSpec): Promise<string> {
  if (imageDigest !== null && /^[0-9a-f]{64}$/.test(imageDigest)) return `sha256-${imageDigest.slice(0, 40)}`;
  const { size, mtimeMs, ino } = await fileOf(imagePath);
  const identity = JSON.stringify([imagePath, size, mtimeMs, ino]);
  return `file-${createHash("sha256").update(identity).digest("hex").slice(0, 40)}`;
}

/** The dataset of an image. */
export function imageDataset(pool: string, key: string): string {
  return `${pool}/images/${key}`;
}

/** The snapshot that marks an image as complete. */
export function readySnapshot(dataset: string): string {
  return `${dataset}@ready`;
}

async function ensureImported(options: ImageShelfOptions, key: string, spec: GuestSpec): Promise<void> {
  const dataset = imageDataset(options.pool, key);
  if ((await findDataset(options, readySnapshot(dataset), ["type"])) !== null) return;
  await removeHalf(options, dataset);
  await withRawFile(options, key, spec, async (path) => {
    const bytes = Math.max(1, Math.ceil((await fileOf(path)).size / blockBytes)) * blockBytes;
    const marks = [`${ownershipProperties.owner}=${options.ownerId}`, `${usedProperty}=${Date.now()}`];
    const properties = ["compression=on", ...marks].flatMap((property) => ["-o", property]);
    await executeOrThrow(options, "zfs", ["create", "-s", "-V", String(bytes), ...properties, dataset]);
    // The last block is padded, because a raw device accepts whole sectors only.
    const copy = [`if=${path}`, `of=/dev/zvol/rdsk/${dataset}`, "bs=1024k", "conv=sync"];
    await executeOrThrow(options, "dd", copy, { deadlineSeconds: importSeconds });
    await executeOrThrow(options, "zfs", ["snapshot", readySnapshot(dataset)]);
  });
  options.log.info({ image: spec.imagePath, dataset }, "imported an image into the pool");
  options.afterImport();
}

/** Removes a killed import, which has no snapshot: its written part is useless, because its length is unknown. */
async function removeHalf(options: ImageShelfOptions, dataset: string): Promise<void> {
  const half = await findDataset(options, dataset, [ownershipProperties.owner]);
  if (half === null) return;
  if (half.properties.get(ownershipProperties.owner) !== options.ownerId) {
    throw new SolsticeError("already_exists", `The dataset ${dataset} exists and belongs to another owner.`, {
      remedy: "Destroy or rename it, or use another ZONES_POOL.",
    });
  }
  const args = ["destroy", "-r", dataset];
  // A dd that outlived its orchestrator may still be writing to the dataset.
  const result = await executeWhenFree(options, "zfs", args);
  if (result.exitCode !== 0 && !isAbsent(result)) throw toHostError({ program: "zfs", args, ...result });
}

/** Calls `use` with the image as a raw file; a qcow2 image is converted to a temporary file. */
async function withRawFile(
  { run, importsDir }: ImageShelfOptions,
  key: string,
  spec: GuestSpec,
  use: (path: string) => Promise<void>,
): Promise<void> {
  await fileOf(spec.imagePath);
  if (spec.imageFormat === "raw") return use(spec.imagePath);
  const directory = join(importsDir, key);
  const raw = join(directory, "image.raw");
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    // The format is always given: qemu-img must never guess, because a guest could have written another format's
    // header.
    await run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", spec.imagePath, raw], {
      deadlineSeconds: importSeconds,
      errorCode: "image_unavailable",
      remedy: "See `qemu-img info` of the image.",
    });
    await use(raw);
  } catch (error) {
    if (!isSolsticeError(error, "host_missing_tool")) throw error;
    throw new SolsticeError(
      "host_missing_tool",
      "The program qemu-img is not installed, and the image is qcow2.",
      {
        remedy: "Install qemu-img (OmniOS: pkg search qemu-img), or name a raw image in the image map.",
        cause: error,
      },
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function noteUse(options: ImageShelfOptions, key: string, notedAt: Map<string, number>): Promise<void> {
  const now = Date.now();
  if (now - (notedAt.get(key) ?? 0) < noteEveryMs) return;
  notedAt.set(key, now);
  await executeOrThrow(options, "zfs", ["set", `${usedProperty}=${now}`, imageDataset(options.pool, key)]);
}

async function pooledImage(options: ImageShelfOptions, key: string): Promise<PooledImage> {
  const dataset = imageDataset(options.pool, key);
  const found = await findDataset(options, dataset, ["volsize"]);
  const bytes = Number(found?.properties.get("volsize"));
  if (Number.isSafeInteger(bytes) && bytes > 0) return { snapshot: readySnapshot(dataset), bytes };
  throw new SolsticeError("hypervisor_failed", `The image ${dataset} has disappeared from the pool.`, {
    remedy: "The next attempt imports it again.",
  });
}

async function fileOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    throw new SolsticeError("image_unavailable", `The prepared image ${path} cannot be read.`, {
      remedy: "See `solstice images`; a removed file is fetched again when the orchestrator starts.",
      cause: error,
    });
  }
}
