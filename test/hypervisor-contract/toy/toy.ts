import { mkdir } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { type DomainEntry, emptyTraces, type HostTraces } from "../../../src/core/audit/ledgers.ts";
import { errorText, isSolsticeError, SolsticeError } from "../../../src/core/errors.ts";
import { type Backend, guestName } from "../../../src/core/job.ts";
import { hasErrorCode } from "../../../src/host/error-code.ts";
import { readPart } from "../../../src/host/read-part.ts";
import { guestsDirectory, readGuestDirectories } from "../../../src/hypervisor/guest-directories.ts";
import type {
  GuestPower,
  GuestShell,
  GuestSpec,
  Hypervisor,
  WriteSeed,
} from "../../../src/hypervisor/hypervisor.ts";
import { findGuest, guestPaths, removeFiles, writeGuest } from "./guest-files.ts";
import { connectTo, isPowered, killProcesses, powerOn, pressPowerButton, qemuArguments } from "./qemu.ts";
import { createWatch, type Watch } from "./watch.ts";

/** Options of {@link createToyHypervisor}. */
export interface ToyOptions {
  readonly dataDir: string;
  readonly ownerId: string;
  readonly writeSeed: WriteSeed;
}

interface ToyHost extends Omit<ToyOptions, "dataDir"> {
  readonly guestsDir: string;
  /** The line to each guest's shell that this object has open. */
  readonly shells: Map<string, Duplex>;
  readonly watch: Watch;
}

/**
 * Guests as plain QEMU processes of this host (Linux), without libvirt: the example of docs/adding-a-hypervisor.md. Not for
 * jobs: guests reach this host's loopback, run as this user, and what they write on the console is kept without a bound.
 */
export function createToyHypervisor(options: ToyOptions): Hypervisor {
  const guestsDir = guestsDirectory(options.dataDir);
  const watch = createWatch(async () => {
    const { domains } = await listTraces(host);
    return new Map(domains.map(({ jobId, power }) => [jobId, power]));
  });
  const host: ToyHost = { ...options, guestsDir, watch, shells: new Map() };
  // recipe: errors
  const of = <Result>(doing: string, act: () => Promise<Result>) => act().catch((e) => fail(doing, e));
  // recipe: end
  return {
    // A product's backend has its name in `backends` of src/core/job.ts.
    backend: "qemu" as Backend,
    async connect() {},
    async prepare() {
      await mkdir(guestsDir, { recursive: true, mode: 0o711 });
    },
    // To a guest it is 10.0.2.2: who wants jobs on this says so by RUNNER_URL.
    runnerHost: async () => "127.0.0.1",
    async guard() {},
    async unguard() {},
    create: (spec) => of(`${guestName(spec.jobId)} cannot be made`, () => createGuest(host, spec)),
    start: (jobId) => of(`${guestName(jobId)} cannot start`, () => startGuest(host, jobId)),
    power: (jobId) => of(`The state of ${guestName(jobId)} is unknown`, () => readPower(host, jobId)),
    requestShutdown: (jobId) => of(`${guestName(jobId)} cannot be asked`, () => shutDown(host, jobId)),
    destroy: (jobId) => of(`${guestName(jobId)} cannot be stopped`, () => destroyGuest(host, jobId)),
    remove: (jobId) => of(`${guestName(jobId)} cannot be removed`, () => removeGuest(host, jobId)),
    listTraces: () => of("Guests cannot be listed", () => listTraces(host)),
    readConsole: (jobId, offset, maxBytes) =>
      readPart(guestPaths(guestsDir, jobId).console, offset, maxBytes),
    openShell: (jobId) => of(`${guestName(jobId)} cannot be entered`, () => openShell(host, jobId)),
    onChange: (listener) => watch.subscribe(listener),
    async close() {
      watch.close();
      for (const stream of host.shells.values()) stream.destroy();
    },
  };
}

/** Whatever went wrong, as one of the interface's errors, with what a person can do. */
function fail(doing: string, error: unknown): never {
  if (isSolsticeError(error)) throw error;
  const isFull = hasErrorCode(error, "ENOSPC", "EDQUOT");
  const advice = isFull ? { remedy: "Free space, or set another data directory." } : {};
  const code = isFull ? "disk_full" : "hypervisor_failed";
  throw new SolsticeError(code, `${doing}: ${errorText(error)}.`, { ...advice, cause: error });
}

// recipe: repeat
async function createGuest(host: ToyHost, spec: GuestSpec): Promise<void> {
  const paths = guestPaths(host.guestsDir, spec.jobId);
  const found = await findGuest(paths, host.ownerId);
  if (found.kind === "ours" && found.attempt === spec.attempt) return;
  if (found.kind === "foreign" || (found.kind === "ours" && found.attempt > spec.attempt)) {
    const whose = found.kind === "foreign" ? "another installation's" : "of a newer attempt";
    throw new SolsticeError("already_exists", `${paths.directory} is ${whose}.`);
  }
  await removeGuest(host, spec.jobId);
  await writeGuest(paths, spec, { ...host, arguments: qemuArguments(paths, spec) });
}

async function removeGuest(host: ToyHost, jobId: string): Promise<void> {
  const paths = guestPaths(host.guestsDir, jobId);
  const { kind } = await findGuest(paths, host.ownerId);
  if (kind === "none" || kind === "foreign") return;
  await killProcesses(paths);
  await removeFiles(paths);
}
// recipe: end

async function startGuest(host: ToyHost, jobId: string): Promise<void> {
  const paths = guestPaths(host.guestsDir, jobId);
  const found = await findGuest(paths, host.ownerId);
  if (found.kind !== "ours") throw noGuest(jobId, "start");
  await powerOn(paths, found.arguments, host.watch.wake);
  host.watch.wake();
}

async function readPower(host: ToyHost, jobId: string): Promise<GuestPower> {
  const paths = guestPaths(host.guestsDir, jobId);
  const { kind } = await findGuest(paths, host.ownerId);
  if (kind === "none" || kind === "foreign") return "absent";
  return (await isPowered(paths)) ? "running" : "stopped";
}

async function shutDown(host: ToyHost, jobId: string): Promise<void> {
  if ((await readPower(host, jobId)) !== "running") return;
  const paths = guestPaths(host.guestsDir, jobId);
  await pressPowerButton(paths).catch(async (error) => {
    if (await isPowered(paths)) throw error;
  });
}

async function destroyGuest(host: ToyHost, jobId: string): Promise<void> {
  if ((await readPower(host, jobId)) === "absent") return;
  await killProcesses(guestPaths(host.guestsDir, jobId));
  host.watch.wake();
}

// recipe: traces
async function listTraces(host: ToyHost): Promise<HostTraces> {
  const domains: DomainEntry[] = [];
  const directories = [];
  for (const directory of await readGuestDirectories(host.guestsDir)) {
    const { jobId } = directory;
    const paths = guestPaths(host.guestsDir, jobId);
    const found = await findGuest(paths, host.ownerId);
    if (found.kind === "none" || found.kind === "foreign") continue;
    directories.push({ ...directory, macAddress: null });
    if (found.kind !== "ours") continue;
    const power = (await isPowered(paths)) ? "running" : "stopped";
    const needs = ["overlay.qcow2", "seed.iso"];
    domains.push({ name: guestName(jobId), jobId, attempt: found.attempt, power, needs });
  }
  return { ...emptyTraces, domains, directories };
}
// recipe: end

async function openShell(host: ToyHost, jobId: string): Promise<GuestShell> {
  if ((await readPower(host, jobId)) !== "running") throw noGuest(jobId, "enter");
  // QEMU serves one at a time, and a new one takes over.
  host.shells.get(jobId)?.destroy();
  const stream = await connectTo(guestPaths(host.guestsDir, jobId).shell);
  host.shells.set(jobId, stream);
  stream.once("close", () => {
    if (host.shells.get(jobId) === stream) host.shells.delete(jobId);
  });
  const endOfInput = 4;
  return {
    stream,
    endInput: (isLineBegun) => {
      stream.write(Buffer.from(isLineBegun ? [endOfInput, endOfInput] : [endOfInput]));
    },
    async resize() {},
  };
}

function noGuest(jobId: string, what: string): SolsticeError {
  return new SolsticeError("hypervisor_failed", `There is no guest ${guestName(jobId)} to ${what}.`);
}
