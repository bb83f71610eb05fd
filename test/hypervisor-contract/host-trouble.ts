import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { runCommand } from "../../src/host/command.ts";

/** Why a small file system cannot be mounted here, as a circumstance that cannot happen; none as root. */
export const smallDiskNeedsRoot =
  process.getuid?.() === 0 ? {} : { "the disk is full": "mounting a small file system needs root" };

/** A file system of `kibibytes` (multiples of 4) at a new directory, which `remove` unmounts and removes. */
export async function openSmallDisk(
  kibibytes: number,
): Promise<{ readonly directory: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "solstice-small-"));
  const options = `size=${kibibytes}k,mode=0711`;
  await runCommand("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory]);
  return {
    directory,
    async remove() {
      await runCommand("umount", ["-l", directory]);
      await rm(directory, { recursive: true });
    },
  };
}

/** Runs `act` where this process finds no program by its name, except in `kept` directories. */
export async function withoutPrograms<Result>(
  act: () => Promise<Result>,
  kept: readonly string[] = [],
): Promise<Result> {
  const path = process.env.PATH;
  process.env.PATH = ["/nonexistent", ...kept].join(delimiter);
  try {
    return await act();
  } finally {
    process.env.PATH = path;
  }
}
