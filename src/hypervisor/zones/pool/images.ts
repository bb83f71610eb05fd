import { createHash } from "node:crypto";
import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSolsticeError, SolsticeError } from "../../../core/errors.ts";
import type { GuestSpec } from "../../hypervisor.ts";
import { askInTurn, type CommandHost, succeed } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";
import { ownershipProperties } from "../ownership.ts";
import { findDataset } from "./datasets.ts";

/** When an image was last used, in ms since the epoch: what nothing uses for long is removed by it. */
export const usedProperty = "solstice:used";

/** A volume's size must be a multiple of its blocks; so is what dd writes. */
const blockBytes = 1024 * 1024;

/** The longest that converting and writing one image may take. */
const importSeconds = 2 * 60 * 60;

/** How often the time of the last use is written down again, in ms. */
const noteEveryMs = 24 * 60 * 60 * 1000;

/** An image in the pool, ready to be cloned. */
export interface PooledImage {
  readonly snapshot: string;
  readonly bytes: number;
}

/** The images of this installation in the pool, each imported once, whoever asks first. */
export interface ImageShelf {
  /** The image of a guest; imported when it is not there. Throws `image_unavailable`, `disk_full` and what commands say. */
  take(spec: GuestSpec): Promise<PooledImage>;
  /** The keys of the images that this process has used, or is importing. */
  inUse(): ReadonlySet<string>;
}

/** What {@link createImageShelf} works with. */
export interface ImageShelfOptions extends CommandHost {
  readonly pool: string;
  readonly ownerId: string;
  /** Where an image is unpacked on its way to the pool; emptied before each use. */
  readonly importsDir: string;
  /** Called after each import, while its image is in use already. */
  readonly afterImport: () => void;
}

/** The shelf of one pool. One process uses it: the data directory has a lock. */
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
 * What names an image in the pool: the same content has the same name. Before its digest is known, the file's identity
 * stands in for it; such an import is used until the digest is there, and goes once nothing uses it.
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

/** The snapshot that says that an image is whole. */
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
    await succeed(options, "zfs", ["create", "-s", "-V", String(bytes), ...properties, dataset]);
    // The last block is filled up, since a raw device takes whole sectors only.
    const copy = [`if=${path}`, `of=/dev/zvol/rdsk/${dataset}`, "bs=1024k", "conv=sync"];
    await succeed(options, "dd", copy, { deadlineSeconds: importSeconds });
    await succeed(options, "zfs", ["snapshot", readySnapshot(dataset)]);
  });
  options.log.info({ image: spec.imagePath, dataset }, "imported an image into the pool");
  options.afterImport();
}

/** An import that was killed has no snapshot; what it wrote is of no use, since nobody knows how far it came. */
async function removeHalf(options: ImageShelfOptions, dataset: string): Promise<void> {
  const half = await findDataset(options, dataset, [ownershipProperties.owner]);
  if (half === null) return;
  if (half.properties.get(ownershipProperties.owner) !== options.ownerId) {
    throw new SolsticeError(
      "already_exists",
      `The dataset ${dataset} exists, and this installation did not make it.`,
      {
        remedy: "Destroy or rename it, or use another ZONES_POOL.",
      },
    );
  }
  const args = ["destroy", "-r", dataset];
  // A dd that outlived its orchestrator may still be writing to it.
  const result = await askInTurn(options, "zfs", args);
  if (result.exitCode !== 0 && !isAbsent(result)) throw toHostError({ program: "zfs", args, ...result });
}

/** Gives `use` the image as a raw file, which for qcow2 is made for as long as that takes. */
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
    // The format is always said: qemu-img must never guess, because a guest could have written another format's header.
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
  await succeed(options, "zfs", ["set", `${usedProperty}=${now}`, imageDataset(options.pool, key)]);
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
