import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guestName } from "../../src/core/job/job.ts";
import { silentLog } from "../../src/core/log.ts";
import { runCommand } from "../../src/host/command.ts";
import type { GuestSpec, Hypervisor } from "../../src/hypervisor/hypervisor.ts";
import { guestPaths } from "../../src/hypervisor/noop/guest-files.ts";
import { createNoopHypervisor, type NoopOptions } from "../../src/hypervisor/noop/noop.ts";
import { until } from "../support/until.ts";
import type { Behaviour, ContractHarness } from "./contract.ts";
import { randomJobId } from "./contract.ts";
import { cutProgram, filesIn, openSmallDisk, smallDiskNeedsRoot } from "./host-trouble.ts";

/** Number of killed processes in `npm test`. */
const SAMPLED_KILLS = 3;

/** A spec for a backend without virtual machines: only the files and the runner's address matter. */
export function noopSpec(guest: {
  jobId: string;
  attempt: number;
  files?: GuestSpec["files"];
  runnerUrl?: string;
}): GuestSpec {
  return {
    jobId: guest.jobId,
    attempt: guest.attempt,
    imagePath: "/nonexistent",
    imageFormat: "raw",
    imageDigest: null,
    size: { cpu: 1, ramMb: 64, diskGb: 1 },
    seedFormat: "iso",
    diskBus: "virtio",
    nicModel: "virtio",
    firmware: "bios",
    egress: "open",
    seed: { metaData: "", userData: "" },
    files: guest.files ?? [],
    runner: { url: guest.runnerUrl ?? "http://127.0.0.1:9", bootstrapToken: "bootstrap" },
    formerHosts: [],
    hasShell: true,
  };
}

/** A runner file whose `run` is the given shell script. */
export function runnerFile(script: string): GuestSpec["files"][number] {
  const content = `#!/bin/sh\n[ "$1" != shell ] || exec cat\n[ "$1" = run ] || exit 0\n${script}\n`;
  return { path: "/run/solstice/runner.sh", content, permissions: "0700" };
}

// `sleep` runs in the foreground: a shell acts on TERM only when `sleep` ends, and TERM to the whole group ends it.
const runnerScripts: Record<Behaviour, string> = {
  obedient: 'echo "guest is up"; sleep 600',
  deaf: `trap 'echo "power button ignored"' TERM; echo "guest is up"; while :; do sleep 600; done`,
  brief: 'echo "guest is up"',
};

/** The noop backend with the runner as a child process. */
export async function createProcessHarness(): Promise<ContractHarness> {
  const dataDir = await mkdtemp(join(tmpdir(), "solstice-noop-"));
  const guestsDir = join(dataDir, "guests");
  const options = processOptions({ dataDir, ownerId: randomJobId() });
  const neighbour = processOptions({ dataDir, ownerId: randomJobId() });
  return {
    open: () => createNoopHypervisor(options),
    // The neighbour keeps its guests in the same directory: in another one the two would never conflict.
    openNeighbour: () => createNoopHypervisor(neighbour),
    spec: ({ jobId, attempt, behaviour }) =>
      noopSpec({ jobId, attempt, files: [runnerFile(runnerScripts[behaviour])] }),
    guestsDir,
    plantForeign: async (jobId) => {
      const { directory, mark } = guestPaths(guestsDir, jobId);
      const content = JSON.stringify({ owner: "someone-else", jobId, attempt: 1 });
      await mkdir(directory);
      await writeFile(mark, content);
      return {
        intact: async () => (await readFile(mark, "utf8")) === content,
        remove: () => rm(directory, { recursive: true }),
      };
    },
    async crash(jobId) {
      const { pid } = guestPaths(guestsDir, jobId);
      const group = await until(
        "the guest has recorded its process",
        async () => Number(await readFile(pid, "utf8").catch(() => "")) || null,
      );
      process.kill(-group, "SIGKILL");
    },
    failures: processFailures(options),
    victim: {
      module: import.meta.url,
      options: { dataDir, ownerId: options.ownerId },
      sampled: SAMPLED_KILLS,
      model: {
        part: "creation",
        run: runCommand,
        open: () => createNoopHypervisor(options),
        onlyLooks: () => false,
        cut: cutProgram,
      },
    },
    async whatIsLeft(jobId) {
      const directory = join(guestsDir, guestName(jobId));
      const own = existsSync(directory) ? [directory] : [];
      return [...own, ...filesIn(directory), ...(await processesIn(directory))];
    },
    close: () => rm(dataDir, { recursive: true }),
  };
}

/** The running processes that have a guest's directory in their environment. Linux only. */
async function processesIn(directory: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const environments = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/environ`, "utf8").catch(() => "")),
  );
  return pids.filter((_, index) => environments[index]?.includes(directory)).map((pid) => `process ${pid}`);
}

/**
 * Opens the backend with processes, in a process that is killed.
 * @public
 */
export function openVictim(options: { dataDir: string; ownerId: string }): Hypervisor {
  return createNoopHypervisor(processOptions(options));
}

/** Options of the backend whose guests are processes. */
function processOptions(place: { dataDir: string; ownerId: string }): NoopOptions {
  return { ...place, runner: "process", delayMs: 0, log: silentLog };
}

/** A process needs no hypervisor, no network of its own and no image: see {@link processCannot}. */
function processFailures(options: NoopOptions): ContractHarness["failures"] {
  return {
    async "a tool is missing"(spec) {
      const hypervisor = createNoopHypervisor(options);
      await hypervisor.create(spec);
      await hypervisor.start(spec.jobId);
      const without = createNoopHypervisor({ ...options, searchPath: "/nonexistent" });
      await until("the program is found", async () => (await without.power(spec.jobId)) === "running");
      const order = { number: 1, term: "dumb", rows: 24, columns: 80, mode: "plain" } as const;
      return {
        fail: () => without.openShell(spec.jobId, order),
        repair: () => hypervisor.remove(spec.jobId),
      };
    },
    async "the disk is full"(spec) {
      const disk = await openSmallDisk(16);
      const hypervisor = createNoopHypervisor({ ...options, dataDir: disk.directory });
      await hypervisor.prepare();
      const content = "x".repeat(20_000);
      const large = { ...spec, files: [...spec.files, { path: "/large", content, permissions: "0600" }] };
      return {
        fail: () => hypervisor.create(large),
        async repair() {
          await hypervisor.remove(spec.jobId);
          await disk.remove();
        },
      };
    },
  };
}

/** The failures that guests as processes cannot have. */
export const processCannot = {
  "the hypervisor is gone": "the kernel of this host runs the processes",
  "the network is missing": "the processes use the network of this host directly",
  "the image's file is gone": "the processes use the files of this host and no image",
  ...smallDiskNeedsRoot,
} as const;

/** The failures that guests in memory cannot have. */
export const delayCannot = {
  "the hypervisor is gone": "the guests are objects of this process",
  "a tool is missing": "no program is run",
  "the disk is full": "the backend writes nothing to disk",
  "the network is missing": "the stand-ins call from this process",
  "the image's file is gone": "no guest reads an image",
  "others have guests here": "guests in memory belong to one installation only",
  "the process is killed": "the guests end with the process and leave nothing",
} as const;

/**
 * The noop backend with a built-in runner. The behaviour is that of the runner endpoint: an endpoint that never
 * answers keeps the built-in runner waiting.
 */
export async function createDelayHarness(): Promise<ContractHarness> {
  const unanswered = new Map<string, ServerResponse>();
  const server = createServer((request, response) => {
    const [, behaviour, jobId = ""] = request.url?.split("/") ?? [];
    if (behaviour === "obedient") unanswered.set(jobId, response);
    else response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const options = {
    runner: "delay",
    delayMs: 1,
    dataDir: "/nonexistent",
    ownerId: "test",
    log: silentLog,
  } as const;
  return {
    open: () => createNoopHypervisor(options),
    openNeighbour: null,
    spec: ({ jobId, attempt, behaviour }) =>
      noopSpec({ jobId, attempt, runnerUrl: `http://127.0.0.1:${port}/${behaviour}/${jobId}` }),
    guestsDir: null,
    plantForeign: () => assert.fail("guests in memory belong to one installation only"),
    // The built-in runner gives up when its endpoint refuses it.
    async crash(jobId) {
      const response = await until("the stand-in calls", () => unanswered.get(jobId) ?? null);
      response.writeHead(400).end("refused");
    },
    failures: {},
    victim: null,
    whatIsLeft: async () => [],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
