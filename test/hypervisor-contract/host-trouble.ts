import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingTool, type RunCommand, runCommand } from "../../src/host/command.ts";

/** The reason why a small file system cannot be mounted here, as a circumstance that cannot happen; empty for root. */
export const smallDiskNeedsRoot =
  process.getuid?.() === 0 ? {} : { "the disk is full": "mounting a small file system needs root" };

/** A file system of `kibibytes` (multiples of 4) at a new directory; `remove` unmounts and removes it. */
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

/** Runs commands like `run`, on a host that lacks the programs for which `isMissing` is true. */
export function withoutPrograms(run: RunCommand, isMissing: (program: string) => boolean): RunCommand {
  return async (program, args, options) => {
    if (isMissing(program)) throw missingTool(program);
    return run(program, args, options);
  };
}

/** Starts a program, and kills it at once. */
export async function cutProgram(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: "ignore" });
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** The names of a directory's files, in order; empty when it does not exist. */
export function filesIn(directory: string, without: readonly string[] = []): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => !without.includes(file))
    .toSorted();
}
