import { mkdtemp, open, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isSolsticeError, SolsticeError } from "../../core/errors.ts";
import type { Seed, SeedForm } from "../../core/job/guest.ts";
import { runCommand } from "../../host/command.ts";
import { installCommand } from "../../host/packages.ts";
import { buildCpioArchive } from "./cpio-archive.ts";
import { buildFatImage } from "./fat-image.ts";
import { metadataAgentFiles, noCloudFiles } from "./seed-files.ts";
import { networkConfigVersion2 } from "./static-network.ts";

/** Programs that make an ISO, in the order of preference, with the arguments before the common ones. */
export const isoTools: readonly (readonly [program: string, ...before: string[]])[] = [
  ["genisoimage"],
  ["mkisofs"],
  ["xorriso", "-as", "mkisofs"],
];

const deadlineSeconds = 60;

/** Options of {@link writeSeedIso}. */
export interface SeedImageOptions {
  /** Programs instead of {@link isoTools}, for tests. */
  readonly tools?: typeof isoTools;
}

/**
 * Writes a seed as a disk image at `path`, mode 0600 because it holds a token. The file appears complete or not at all.
 * Throws `host_missing_tool` when no program can make an ISO, and `limit_exceeded` for a seed that is too large for the
 * form.
 */
export async function writeSeed(path: string, seed: Seed, form: SeedForm): Promise<void> {
  if (form === "iso") return writeSeedIso(path, seed);
  const image =
    form === "vfat"
      ? buildFatImage("cidata", noCloudFiles(seed))
      : buildCpioArchive(metadataAgentFiles(seed));
  const directory = await mkdtemp(join(dirname(path), ".seed-"));
  try {
    const partial = join(directory, "seed.img");
    await writeFile(partial, image, { mode: 0o600, flag: "wx" });
    await rename(partial, path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Like {@link writeSeed}, as an ISO with the volume label `cidata` and the long names of Joliet and Rock Ridge. */
export async function writeSeedIso(path: string, seed: Seed, options: SeedImageOptions = {}): Promise<void> {
  const directory = await mkdtemp(join(dirname(path), ".seed-"));
  try {
    const documents = await writeDocuments(directory, seed);
    const image = join(directory, "seed.iso");
    // Create the tool's output file first, so that it is private from its first byte on.
    await (await open(image, "wx", 0o600)).close();
    await makeIso(
      ["-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", image, ...documents],
      options,
    );
    await rename(image, path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Writes the documents of the seed, under the names that NoCloud requires. */
async function writeDocuments(directory: string, seed: Seed): Promise<string[]> {
  const { metaData, userData, network, vendorData } = seed;
  const documents = {
    "meta-data": metaData,
    "user-data": userData,
    "network-config": network && networkConfigVersion2(network),
    "vendor-data": vendorData,
  };
  const paths: string[] = [];
  for (const [name, content] of Object.entries(documents)) {
    if (content === undefined) continue;
    const path = join(directory, name);
    await writeFile(path, content, { mode: 0o600 });
    paths.push(path);
  }
  return paths;
}

async function makeIso(args: readonly string[], { tools = isoTools }: SeedImageOptions): Promise<void> {
  for (const [program, ...before] of tools) {
    try {
      await runCommand(program, [...before, ...args], { deadlineSeconds, errorCode: "hypervisor_failed" });
      return;
    } catch (error) {
      if (!isSolsticeError(error, "host_missing_tool")) throw error;
    }
  }
  throw new SolsticeError("host_missing_tool", `None of these programs is installed: ${names(tools)}.`, {
    remedy: `Install one: ${installCommand("genisoimage")}`,
  });
}

function names(tools: typeof isoTools): string {
  return tools.map(([program]) => program).join(", ");
}
