import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../../../src/host/command.ts";
import type { Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import { type ContractHarness, type ContractOptions, randomJobId } from "../contract.ts";
import { openSmallDisk, smallDiskNeedsRoot, withoutPrograms } from "../host-trouble.ts";
import { openTemporaryDirectory, testSpec, tinyImage, writeTestSeed } from "../libvirt-harness.ts";
import { guestPaths } from "./guest-files.ts";
import { findProcesses } from "./qemu.ts";
import { createToyHypervisor } from "./toy.ts";

/** What cannot happen to guests that are processes of this host. */
export const toyCannot = {
  "the hypervisor is gone": "the kernel of this host runs the processes",
  "the network is missing": "each QEMU brings its own network",
  ...smallDiskNeedsRoot,
} as const;

/** Why QEMU cannot be used here; false when it can. */
export async function missingQemu(): Promise<string | false> {
  try {
    await runCommand("qemu-system-x86_64", ["--version"]);
    return false;
  } catch (error) {
    return String(error);
  }
}

/** The toy with real boots of the tiny guest, under software emulation. */
export async function createToyHarness(): Promise<ContractHarness> {
  const imagePath = await tinyImage();
  const dataDir = await openTemporaryDirectory();
  const guestsDir = join(dataDir, "guests");
  const place = { dataDir, ownerId: randomJobId() };
  const spec: ContractHarness["spec"] = (guest) => testSpec({ ...guest, imagePath });
  return {
    open: () => openVictim(place),
    openNeighbour: () => openVictim({ dataDir, ownerId: randomJobId() }),
    spec,
    crashPoints: {
      "after the directory": async ({ jobId }) => {
        await mkdir(guestPaths(guestsDir, jobId).directory);
      },
      "in mid-mark": async ({ jobId }) => {
        const { directory, overlay, mark } = guestPaths(guestsDir, jobId);
        await mkdir(directory);
        await writeFile(overlay, "half");
        await writeFile(`${mark}.partial`, "{");
      },
    },
    guestsDir,
    async plantForeign(jobId) {
      const { directory, mark } = guestPaths(guestsDir, jobId);
      const content = JSON.stringify({ owner: "someone-else", attempt: 1, arguments: [] });
      await mkdir(directory);
      await writeFile(mark, content);
      return {
        intact: async () => (await readFile(mark, "utf8")) === content,
        remove: () => rm(directory, { recursive: true }),
      };
    },
    async crash(jobId) {
      for (const pid of await findProcesses(guestPaths(guestsDir, jobId))) process.kill(pid, "SIGKILL");
    },
    failures: toyFailures(place),
    victim: { module: import.meta.url, options: place, isSlow: true },
    whatIsLeft: async (jobId) => {
      const paths = guestPaths(guestsDir, jobId);
      const processes = (await findProcesses(paths)).map(() => "process");
      return [...processes, ...[paths.directory].filter((path) => existsSync(path))];
    },
    close: () => rm(dataDir, { recursive: true }),
  };
}

/**
 * The backend, for a process that is killed.
 * @public
 */
export function openVictim(place: { dataDir: string; ownerId: string }): Hypervisor {
  return createToyHypervisor({ ...place, writeSeed: writeTestSeed });
}

function toyFailures(place: { dataDir: string; ownerId: string }): ContractHarness["failures"] {
  return {
    async "a tool is missing"(spec) {
      const hypervisor = openVictim(place);
      return { fail: () => withoutPrograms(() => hypervisor.create(spec)), mend: async () => {} };
    },
    async "the disk is full"(spec) {
      const disk = await openSmallDisk(16);
      const hypervisor = openVictim({ ...place, dataDir: disk.directory });
      await hypervisor.prepare();
      return { fail: () => hypervisor.create(spec), mend: () => disk.remove() };
    },
    async "the image's file is gone"(spec) {
      const hypervisor = openVictim(place);
      return {
        fail: () => hypervisor.create({ ...spec, imagePath: "/nonexistent/image" }),
        mend: async () => {},
      };
    },
  };
}

/** The suite's options for the toy. */
export const toyContract: () => Promise<ContractOptions> = async () => ({
  setUp: createToyHarness,
  skip: await missingQemu(),
  cannotHappen: toyCannot,
});
