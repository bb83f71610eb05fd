import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { promisify } from "node:util";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { JobService } from "../../src/gen/solstice/v1/jobs_pb.ts";

import { removeFirewallOf } from "./guests/firewall.ts";
import { memoryDirectory } from "./memory-directory.ts";
import { programVariable } from "./program-variable.ts";

const run = promisify(execFile);

/** The command line as a user starts it: from the checkout, or in a run of many files a bundle that starts faster. */
export const solstice =
  process.env[programVariable] ?? new URL("../../bin/solstice", import.meta.url).pathname;

/** The directory of test data. QEMU's user must be able to enter it, which a directory under /root would not allow. */
const temporaryRoot = memoryDirectory("/var/tmp");

/** Longest time for a start: migrations, libvirt, and one check of every leftover. */
const startTimeoutMs = 60_000;

/** A running orchestrator, as a real process. */
export interface OrchestratorProcess {
  readonly pid: number;
  readonly apiUrl: string;
  readonly runnerUrl: string;
  readonly api: Client<typeof JobService>;
  /** All log output so far, as text. */
  log(): string;
  /** Sends a signal and waits until the process ends; returns the exit code, or the signal that ended it. */
  stop(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code when the process ends by itself. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** The settings of a test orchestrator. */
export interface OrchestratorSetup {
  readonly dataDir: string;
  readonly imageMapPath: string;
  /** Processes that are ended after the test, with all their child processes. */
  readonly children: Set<ChildProcess>;
  /** Another installation's command line; default: this one's. */
  readonly program?: string;
  /** Flags beside those for the map, the data directory and the API's address. */
  readonly flags: readonly string[];
}

/** Registers what runs after a test; a test's context fits. */
export interface Afterwards {
  after(work: () => Promise<void>): void;
}

/** Makes a fresh data directory and image map file, removed after the test. */
export function makeSetup(
  context: Afterwards,
  imageMap: string,
  flags: readonly string[],
): OrchestratorSetup {
  const dataDir = mkdtempSync(join(temporaryRoot, "solstice-test-"));
  chmodSync(dataDir, 0o711);
  const children = new Set<ChildProcess>();
  context.after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await removeGuests(dataDir);
    await removeFirewallOf(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  });
  const imageMapPath = join(dataDir, "images.yaml");
  writeFileSync(imageMapPath, imageMap);
  return { dataDir, imageMapPath, flags, children };
}

/**
 * Removes domains, and processes of the noop backend, that a failed test left, so that they do not disturb the next
 * test.
 */
async function removeGuests(dataDir: string): Promise<void> {
  const guestsDir = join(dataDir, "guests");
  const names = existsSync(guestsDir) ? readdirSync(guestsDir).filter((name) => name.startsWith("job-")) : [];
  for (const name of names) {
    const directory = join(guestsDir, name);
    killGroups([join(directory, "guest.pid"), join(directory, "run/solstice/state/step")]);
    for (const command of ["destroy", "undefine"]) {
      await run("virsh", ["-c", "qemu:///system", command, name]).catch(() => "it does not exist");
    }
  }
}

function killGroups(pidFiles: readonly string[]): void {
  for (const file of pidFiles.filter(existsSync)) {
    const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
    try {
      if (pid > 1) process.kill(-pid, "SIGKILL");
    } catch {
      // The process has ended already.
    }
  }
}

/** Starts an orchestrator and waits until it is ready. It is killed after the test if it is still running. */
export async function startOrchestrator(
  setup: OrchestratorSetup,
  moreFlags: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<OrchestratorProcess> {
  const child = spawn(
    setup.program ?? solstice,
    [
      "orchestrator",
      ...["--config", setup.imageMapPath, "--data-dir", setup.dataDir, "--api-listen", "127.0.0.1:0"],
      ...["--log-level", "debug", "--disk-reserve-mb", "64", ...setup.flags, ...moreFlags],
    ],
    { stdio: ["ignore", "inherit", "pipe"], env: { ...cleanEnvironment(), ...environment } },
  );
  setup.children.add(child);
  const lines: string[] = [];
  const ended = endOf(child);
  const ready = await Promise.race([untilReady(child, lines), ended, deadline(startTimeoutMs)]);
  if (typeof ready !== "object")
    throw new Error(`the orchestrator did not start (${ready}):\n${lines.join("\n")}`);
  return {
    pid: child.pid ?? 0,
    ...ready,
    api: createClient(JobService, createConnectTransport({ baseUrl: ready.apiUrl, httpVersion: "1.1" })),
    log: () => lines.join("\n"),
    signal: (signal) => void child.kill(signal),
    stop(signal) {
      child.kill(signal);
      return ended;
    },
    ended,
  };
}

/** An orchestrator with its setup. */
export interface SharedOrchestrator {
  readonly setup: OrchestratorSetup;
  readonly orchestrator: OrchestratorProcess;
}

/**
 * Starts one orchestrator for all tests of the calling suite; no test may depend on what another test leaves in it.
 * The orchestrator is available from the suite's first test on.
 */
export function shareOrchestrator(imageMap: string, flags: readonly string[]): SharedOrchestrator {
  const shared = {} as { setup: OrchestratorSetup; orchestrator: OrchestratorProcess };
  const afterwards: (() => Promise<void>)[] = [];
  before(async () => {
    shared.setup = makeSetup({ after: (work) => void afterwards.push(work) }, imageMap, flags);
    shared.orchestrator = await startOrchestrator(shared.setup);
  });
  after(async () => {
    for (const work of afterwards) await work();
  });
  return shared;
}

/** The environment without variables that configure an orchestrator, so that a test uses only its own flags. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME, LANG, NODE_COMPILE_CACHE } = process.env;
  return { PATH, HOME, LANG, NODE_COMPILE_CACHE };
}

interface Ready {
  readonly apiUrl: string;
  readonly runnerUrl: string;
}

function untilReady(child: ChildProcess, lines: string[]): Promise<Ready> {
  return new Promise((resolve) => {
    if (child.stderr === null) throw new TypeError("stderr is not piped");
    createInterface({ input: child.stderr }).on("line", (line) => {
      lines.push(line);
      if (line.includes('"msg":"ready"')) resolve(JSON.parse(line) as Ready);
    });
  });
}

async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = await once(child, "exit");
  return code ?? signal;
}

function deadline(ms: number): Promise<string> {
  return new Promise((resolve) => setTimeout(resolve, ms, `nothing for ${ms} ms`).unref());
}
