import { lstat, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { TemporaryEntry } from "../../core/audit/inventories.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import { acquireProcessLock } from "../../host/process-lock.ts";
import { imageFiles } from "../image-files.ts";
import { isPreparing } from "../inspect.ts";

/** A leftover that can be removed. `remove` rejects when a preparation uses it. */
export interface Leftover extends TemporaryEntry {
  remove(): Promise<void>;
}

const minuteMs = 60_000;

/** Leftovers of a killed preparation beside an image. Each name begins with the image's. */
const forms = [
  {
    pattern: /^(.+?)(?:\.part)?\.(?:json|unused|failure)\.\d+\.tmp$/,
    isResumed: false,
    staleAfterMs: 10 * minuteMs,
    what: "an unfinished record about an image",
  },
  {
    pattern: /^(.+)\.unpacking$/,
    isResumed: false,
    staleAfterMs: 10 * minuteMs,
    what: "an unfinished unpacked image",
  },
  {
    pattern: /^(.+)\.part(?:\.json)?$/,
    isResumed: true,
    staleAfterMs: 24 * 60 * minuteMs,
    what: "a part of a download whose image already exists",
  },
];

/**
 * Lists the unfinished files of image preparations. A download counts as held while a preparation will resume it, and
 * also when the map no longer names its image: then it is removed by the image's retention. Other files of images that
 * the map does not name are listed in the data directory only: elsewhere they may belong to another installation.
 */
export async function listImageLeftovers(options: {
  imageMap: ImageMap;
  dataDir: string;
}): Promise<Leftover[]> {
  const mapped = new Set([...options.imageMap.images.values()].map(({ localPath }) => localPath));
  const ownFolder = join(options.dataDir, "images");
  const folders = new Set([ownFolder, ...[...mapped].map((path) => dirname(path))]);
  const found: Leftover[] = [];
  for (const folder of folders) {
    const { folder: hidden } = imageFiles(join(folder, "any"));
    for (const name of await readdir(hidden).catch(() => [])) {
      const form = forms.find(({ pattern }) => pattern.test(name));
      const image = join(folder, form?.pattern.exec(name)?.[1] ?? "");
      if (!form || !(mapped.has(image) || folder === ownFolder)) continue;
      const leftover = await describe(join(hidden, name), image, { ...form, isMapped: mapped.has(image) });
      if (leftover) found.push(leftover);
    }
  }
  return found;
}

async function describe(
  path: string,
  image: string,
  form: (typeof forms)[number] & { isMapped: boolean },
): Promise<Leftover | null> {
  const file = await lstat(path).catch(() => null);
  if (!file?.isFile()) return null;
  const { lock } = imageFiles(image);
  const isWhole = form.isMapped && (await lstat(image).catch(() => null)) !== null;
  const isAwaited = form.isResumed && !isWhole;
  return {
    path,
    modifiedAt: file.mtimeMs,
    isHeld: isAwaited || (await isPreparing(lock)),
    staleAfterMs: form.staleAfterMs,
    what: form.what,
    remove: () => removeLocked(path, lock),
  };
}

/** Removes a file under the image's lock. */
async function removeLocked(path: string, lockPath: string): Promise<void> {
  const lock = acquireProcessLock(lockPath, `removing ${basename(path)}`);
  try {
    await rm(path, { force: true });
  } catch (cause) {
    throw new SolsticeError("image_unavailable", `${path} cannot be removed.`, {
      remedy: "Check that this user may write to its folder.",
      cause,
    });
  } finally {
    lock.release();
  }
}
