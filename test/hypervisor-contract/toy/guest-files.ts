import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { guestName } from "../../../src/core/job.ts";
import { runCommand } from "../../../src/host/command.ts";
import { hasErrorCode } from "../../../src/host/error-code.ts";
import type { GuestSpec, WriteSeed } from "../../../src/hypervisor/hypervisor.ts";

const BYTES_PER_GIB = 1024 ** 3;

/** Where the files of one guest are. */
export type GuestPaths = ReturnType<typeof guestPaths>;

/** Names the files of a guest: all in one directory, which is named after the job. */
export function guestPaths(guestsDir: string, jobId: string) {
  const directory = join(guestsDir, guestName(jobId));
  const at = (name: string) => join(directory, name);
  return {
    directory,
    mark: at("guest.json"),
    overlay: at("overlay.qcow2"),
    seed: at("seed.iso"),
    console: at("console.log"),
    log: at("qemu.log"),
    // The path of a socket has room for some hundred bytes.
    monitor: at("qmp.sock"),
    shell: at("shell.sock"),
  };
}

// recipe: ownership
/** Whose guest is there: `partial` from a `create` that did not end, `foreign` with another installation's mark. */
export type FoundGuest =
  | { readonly kind: "none" | "partial" | "foreign" }
  | { readonly kind: "ours"; readonly attempt: number; readonly arguments: readonly string[] };

/** Reads the mark of a guest. It is written last, so that it says that the guest is whole. */
export async function findGuest(paths: GuestPaths, ownerId: string): Promise<FoundGuest> {
  const mark = await ifPresent(readFile(paths.mark, "utf8"));
  // A host that lost its power may keep the name of a file without its bytes.
  if (!mark) return { kind: (await ifPresent(stat(paths.directory))) === null ? "none" : "partial" };
  const { owner, attempt, arguments: args } = JSON.parse(mark);
  return owner === ownerId ? { kind: "ours", attempt, arguments: args } : { kind: "foreign" };
}
// recipe: end

/** How a guest is made: whose it is, by what its seed is written, and what it is started with. */
export interface Making {
  readonly ownerId: string;
  readonly writeSeed: WriteSeed;
  /** All that `start` needs must be on the disk: whoever starts the guest may be another process. */
  readonly arguments: readonly string[];
}

// recipe: create
/** Makes the files of a guest that is not there: the directory first, the mark last. */
export async function writeGuest(paths: GuestPaths, spec: GuestSpec, making: Making): Promise<void> {
  await mkdir(paths.directory, { recursive: true, mode: 0o700 });
  await createOverlay(paths.overlay, spec);
  await making.writeSeed(paths.seed, spec.seed, spec.seedFormat);
  const mark = { owner: making.ownerId, attempt: spec.attempt, arguments: making.arguments };
  await writeFile(`${paths.mark}.partial`, JSON.stringify(mark));
  await rename(`${paths.mark}.partial`, paths.mark);
}

/** Removes them: the mark first, as it says that they are whole, and the directory last, as it says that they are ours. */
export async function removeFiles(paths: GuestPaths): Promise<void> {
  await rm(paths.mark, { force: true });
  await rm(paths.directory, { recursive: true, force: true });
}
// recipe: end

async function createOverlay(path: string, { imagePath, imageFormat, size }: GuestSpec): Promise<void> {
  const { stdout } = await runCommand("qemu-img", ["info", "-U", "--output=json", imagePath], {
    errorCode: "image_unavailable",
    remedy: "See what `solstice images` says.",
  });
  const bytes = Math.max(JSON.parse(stdout)["virtual-size"], size.diskGb * BYTES_PER_GIB);
  const backing = ["-b", imagePath, "-F", imageFormat];
  await runCommand("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, path, String(bytes)], {
    errorCode: "hypervisor_failed",
  });
}

async function ifPresent<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return null;
    throw error;
  }
}
