import assert from "node:assert/strict";
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guestName } from "../../core/job.ts";
import type { GuestSpec, HypervisorLog } from "../hypervisor.ts";
import { guestPaths } from "../noop/guest-files.ts";
import { createNoopHypervisor } from "../noop/noop.ts";
import type { Behaviour, ContractHarness } from "./contract.ts";
import { randomJobId } from "./contract.ts";

const silentLog: HypervisorLog = { info: () => {}, warn: () => {} };

/** A spec for a backend without guests: only the files and the runner's address matter. */
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

// `sleep` runs in the foreground: a shell acts on TERM only when it ends, which TERM to the whole group brings about.
const runnerScripts: Record<Behaviour, string> = {
  obedient: 'echo "guest is up"; sleep 600',
  deaf: `trap 'echo "heard and ignored"' TERM; echo "guest is up"; while :; do sleep 600; done`,
  brief: 'echo "guest is up"',
};

/** The noop backend with the runner as a child process. */
export async function createProcessHarness(): Promise<ContractHarness> {
  const dataDir = await mkdtemp(join(tmpdir(), "solstice-noop-"));
  const guestsDir = join(dataDir, "guests");
  const options = { runner: "process", delayMs: 0, dataDir, ownerId: randomJobId(), log: silentLog } as const;
  return {
    open: () => createNoopHypervisor(options),
    spec: ({ jobId, attempt, behaviour }) =>
      noopSpec({ jobId, attempt, files: [runnerFile(runnerScripts[behaviour])] }),
    guestsDir,
    crashPoints: {
      "after the directory": async ({ jobId }) => {
        await mkdir(guestPaths(guestsDir, jobId).directory);
      },
      "in mid-mark": async ({ jobId }) => {
        const paths = guestPaths(guestsDir, jobId);
        await mkdir(paths.work, { recursive: true });
        await writeFile(`${paths.mark}.partial`, "{");
      },
    },
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
    assertNothingLeft: (jobId) =>
      assert.rejects(access(join(guestsDir, guestName(jobId))), { code: "ENOENT" }),
    close: () => rm(dataDir, { recursive: true }),
  };
}

/**
 * The noop backend with a stand-in. Its behaviour is that of the runner endpoint: one that never answers keeps the
 * stand-in waiting.
 */
export async function createDelayHarness(): Promise<ContractHarness> {
  const server = createServer((request, response) => {
    if (request.url?.startsWith("/obedient/")) return;
    response.end("{}");
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
    spec: ({ jobId, attempt, behaviour }) =>
      noopSpec({ jobId, attempt, runnerUrl: `http://127.0.0.1:${port}/${behaviour}` }),
    crashPoints: {},
    guestsDir: null,
    plantForeign: () => assert.fail("nobody else has guests in our memory"),
    assertNothingLeft: async () => {},
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
