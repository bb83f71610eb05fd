import { chmod, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { SolsticeError } from "../../core/errors.ts";
import { guestName, jobIdOfGuest } from "../../core/job/job.ts";
import type { Log } from "../../core/log.ts";
import { type RunCommand, runCommand } from "../../host/command.ts";
import { makeDirectory, passableMode } from "../../host/files/make-directory.ts";
import type { LibvirtClient } from "../../libvirt/index.ts";
import { createLibvirtClient } from "../../libvirt/index.ts";
import { guestsDirectory } from "../guest-directories.ts";
import type { Hypervisor, WriteSeed } from "../hypervisor.ts";
import { toSolsticeError } from "./errors.ts";
import { ensureFirewall, startBehindFirewall } from "./firewall/ensure-firewall.ts";
import { createFirewall, type FirewallSettings } from "./firewall/firewall.ts";
import { readConsole } from "./guest/console.ts";
import { createGuest } from "./guest/create-guest.ts";
import type { VirtType } from "./guest/domain-xml.ts";
import { guestPaths } from "./guest/guest-paths.ts";
import { listInventory } from "./guest/list-inventory.ts";
import { destroyGuest, readPower, shutdownGuest } from "./guest/power.ts";
import { removeGuest } from "./guest/remove-guest.ts";
import { openShell } from "./guest/shell.ts";
import type { LibvirtHost } from "./host.ts";
import { createMacAddresses } from "./mac-addresses.ts";
import { networkGateway, prepareNetwork } from "./network.ts";
import { chooseVirtType, type KvmProbe } from "./virt-type.ts";

/** Directory in which the system's libvirt keeps QEMU's log of every domain. */
const SYSTEM_DOMAIN_LOGS = "/var/log/libvirt/qemu";
const DEFAULT_RESERVE_BYTES = 1024 ** 3;

/** Options of {@link createLibvirtHypervisor}. */
export interface LibvirtHypervisorOptions {
  /** Such as `qemu:///system`. */
  readonly uri: string;
  readonly network: string;
  readonly virtType: "auto" | VirtType;
  /** Absolute path; guests are in its directory `guests/`. QEMU's user must be able to pass through its parents. */
  readonly dataDir: string;
  /** The mark of our domains; another installation on the same libvirt has another id. */
  readonly ownerId: string;
  readonly writeSeed: WriteSeed;
  readonly log: Log;
  /** Runs `qemu-img`; the default is a process. */
  readonly run?: RunCommand;
  /** By default, KVM counts as working when libvirt offers it. */
  readonly probeKvm?: KvmProbe | undefined;
  /** Bytes that must stay free when a guest is created; default 1 GiB. */
  readonly reserveBytes?: number;
  /** Null: no firewall around the guests; each start of the orchestrator then logs a warning. */
  readonly firewall: FirewallSettings | null;
}

/** Creates the backend for guests as libvirt domains of this host. Connects only in `connect()` or `prepare()`. */
export function createLibvirtHypervisor(options: LibvirtHypervisorOptions): Hypervisor {
  const listeners = new Set<(jobId: string | null) => void>();
  let prepared: LibvirtHost | null = null;
  const withHost = async <T>(doing: string, act: (host: LibvirtHost) => Promise<T>): Promise<T> => {
    if (prepared === null) throw new SolsticeError("hypervisor_unavailable", "libvirt is not connected.");
    try {
      return await act(prepared);
    } catch (error) {
      throw toSolsticeError(error, doing);
    }
  };
  const connect = async () => {
    try {
      prepared ??= await connectHost(options, listeners);
      return prepared;
    } catch (error) {
      throw toSolsticeError(error, "libvirt cannot be used");
    }
  };
  return {
    backend: "libvirt",
    async connect() {
      await connect();
    },
    async prepare() {
      try {
        await prepareDirectory(options);
        await prepareNetwork((await connect()).client, options.network, options.log);
      } catch (error) {
        throw toSolsticeError(error, "libvirt cannot be used");
      }
    },
    ensureFirewall: (runnerUrl) =>
      withHost("The guest firewall cannot be installed", (host) => ensureFirewall(host, runnerUrl)),
    removeFirewall: () =>
      withHost("The guest firewall cannot be removed", async (host) => host.firewall?.remove()),
    runnerHost: () =>
      withHost("The guests' network cannot be read", (host) => networkGateway(host.client, host.network)),
    create: (spec) =>
      withHost(`${guestName(spec.jobId)} cannot be created`, (host) => createGuest(host, spec)),
    start: (jobId) =>
      withHost(`${guestName(jobId)} cannot start`, (host) => startBehindFirewall(host, jobId)),
    power: (jobId) =>
      withHost(`The state of ${guestName(jobId)} is unknown`, (host) => readPower(host, jobId)),
    requestShutdown: (jobId) =>
      withHost(`${guestName(jobId)} cannot be shut down`, (host) => shutdownGuest(host, jobId)),
    destroy: (jobId) =>
      withHost(`${guestName(jobId)} cannot be stopped`, (host) => destroyGuest(host, jobId)),
    remove: (jobId) => withHost(`${guestName(jobId)} cannot be removed`, (host) => removeGuest(host, jobId)),
    listInventory: () => withHost("Guests cannot be listed", listInventory),
    readConsole: (jobId, offset, maxBytes) =>
      withHost(`The console of ${guestName(jobId)} cannot be read`, (host) =>
        readConsole(guestPaths(host.guestsDir, jobId).console, offset, maxBytes),
      ),
    openShell: (jobId) => withHost(`${guestName(jobId)} cannot be entered`, (host) => openShell(host, jobId)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      prepared?.firewall?.close();
      prepared?.client.close();
      prepared = null;
      listeners.clear();
    },
  };
}

async function connectHost(
  options: LibvirtHypervisorOptions,
  listeners: ReadonlySet<(jobId: string | null) => void>,
): Promise<LibvirtHost> {
  const { uri, network, ownerId, writeSeed, log, probeKvm, run = runCommand } = options;
  const guestsDir = guestsDirectory(options.dataDir);
  const client = await createLibvirtClient({ uri });
  try {
    const capabilities = await client.capabilities();
    const virtType = await chooseVirtType({ requested: options.virtType, capabilities, probeKvm, log });
    forwardChanges(client, listeners);
    const reserveBytes = options.reserveBytes ?? DEFAULT_RESERVE_BYTES;
    const domainLogDir = isSystem(uri) ? SYSTEM_DOMAIN_LOGS : null;
    const macAddresses = createMacAddresses(guestsDir, ownerId);
    const settings = options.firewall;
    const firewall = settings && createFirewall({ client, network, ownerId, settings, log });
    return {
      ...{ client, ownerId, network, virtType, guestsDir, reserveBytes, domainLogDir },
      ...{ writeSeed, run, macAddresses, firewall, log },
    };
  } catch (error) {
    client.close();
    throw error;
  }
}

function forwardChanges(client: LibvirtClient, listeners: ReadonlySet<(jobId: string | null) => void>): void {
  const report = (jobId: string | null) => {
    for (const listener of listeners) listener(jobId);
  };
  client.onLifecycle(({ domain }) => {
    const jobId = jobIdOfGuest(domain.name);
    if (jobId !== null) report(jobId);
  });
  client.onReconnect(() => report(null));
}

async function prepareDirectory({ dataDir, uri, log }: LibvirtHypervisorOptions): Promise<void> {
  const guestsDir = guestsDirectory(dataDir);
  makeDirectory(guestsDir, passableMode);
  await chmod(guestsDir, passableMode);
  if (isSystem(uri)) {
    await openOwn(dataDir);
    const closed = await closedParent(dataDir);
    if (closed)
      log.warn({ directory: closed }, "QEMU's user cannot pass through this directory: chmod o+x it");
  }
}

/** Lets QEMU's user pass through our directory when an earlier start created it under a narrow umask. */
async function openOwn(directory: string): Promise<void> {
  const { mode, uid } = await stat(directory);
  if (uid === process.getuid?.() && (mode & 0o001) === 0) await chmod(directory, (mode & 0o777) | 0o011);
}

/** Returns the first directory from `path` upwards that others cannot pass through, or null. */
async function closedParent(path: string): Promise<string | null> {
  for (let directory = path; ; directory = dirname(directory)) {
    const { mode } = await stat(directory);
    if ((mode & 0o001) === 0) return directory;
    if (directory === dirname(directory)) return null;
  }
}

function isSystem(uri: string): boolean {
  return uri.includes("///system");
}
