import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, chownSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { LibvirtClient } from "../client.ts";
import { createLibvirtClient } from "../client.ts";
import { isLibvirtError, LibvirtErrorCode } from "../errors.ts";
import type { Domain } from "../wire/types.ts";

/** A private libvirt daemon for tests, in session mode: it shares nothing with the system's daemon. */
export interface PrivateLibvirtd {
  /** URI for createLibvirtClient. */
  readonly uri: string;
  /** A directory that the daemon and its QEMU processes can read and write. */
  readonly directory: string;
  /** User and group of the daemon and its guests. */
  readonly uid: number;
  readonly gid: number;
  /** Ends the daemon with SIGKILL, as a crash would. Guests continue to run. */
  kill(): Promise<void>;
  /** Starts the daemon again after {@link kill} or a crash; resolves when the daemon answers. */
  restart(): Promise<void>;
  /** Resolves with true when the daemon ends by a segmentation fault within a second; false if it still runs or ended otherwise. */
  hasCrashed(): Promise<boolean>;
  /** Destroys and undefines every domain, as after a test that failed. */
  removeDomains(): Promise<void>;
  /** Destroys all domains, ends the daemon and removes the directory. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
/** Time in which a process that lost its connection to the daemon sees the daemon's end, in ms. */
const crashTimeoutMs = 1000;
/** The user `nobody` on Debian; used when the tests run as root, because libvirtd as root is in system mode. */
const UNPRIVILEGED_ID = 65_534;
const SEARCH_PATH = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Reason why a private daemon cannot run here, to skip a test; false when it can. */
export function missingLibvirtd(): string | false {
  for (const program of ["libvirtd", "qemu-system-x86_64"]) {
    if (!findProgram(program)) return `${program} is not installed`;
  }
  return false;
}

/** Starts a private daemon in a new directory; resolves when the daemon answers. The caller must `stop()` it. */
export async function startPrivateLibvirtd(): Promise<PrivateLibvirtd> {
  const directory = mkdtempSync(join(tmpdir(), "libvirtd-"));
  const owner = unprivilegedOwner();
  prepareDirectory(directory, owner);
  const uri = `qemu+unix:///session?socket=${join(directory, "libvirt/libvirt-sock")}`;
  let child = await launch(directory, uri, owner);
  const kill = async () => {
    child.kill("SIGKILL");
    await ended(child);
  };
  return {
    uri,
    directory,
    ...owner,
    kill,
    async restart() {
      child = await launch(directory, uri, owner);
    },
    async hasCrashed() {
      await Promise.race([ended(child), delay(crashTimeoutMs, undefined, { ref: false })]);
      return child.signalCode === "SIGSEGV";
    },
    async removeDomains() {
      await destroyAllDomains(uri);
      using client = await createLibvirtClient({ uri });
      for (const domain of await client.listAllDomains()) await client.undefineDomain(domain);
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) child = await launch(directory, uri, owner);
      await destroyAllDomains(uri);
      child.kill("SIGTERM");
      await ended(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Owner {
  uid: number;
  gid: number;
}

function unprivilegedOwner(): Owner {
  const uid = process.getuid?.() ?? UNPRIVILEGED_ID;
  if (uid === 0) return { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID };
  return { uid, gid: process.getgid?.() ?? uid };
}

function prepareDirectory(directory: string, owner: Owner): void {
  const configDirectory = join(directory, "config/libvirt");
  mkdirSync(configDirectory, { recursive: true });
  // Without this setting the daemon would start a virtlogd that outlives it.
  writeFileSync(join(configDirectory, "qemu.conf"), 'stdio_handler = "file"\n');
  for (const path of [directory, join(directory, "config"), configDirectory]) {
    chownSync(path, owner.uid, owner.gid);
  }
}

async function launch(directory: string, uri: string, owner: Owner): Promise<ChildProcess> {
  const child = spawn(findProgram("libvirtd") ?? "", [], {
    ...owner,
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      PATH: SEARCH_PATH.join(delimiter),
      HOME: directory,
      XDG_RUNTIME_DIR: directory,
      XDG_CONFIG_HOME: join(directory, "config"),
      XDG_CACHE_HOME: join(directory, "cache"),
      XDG_DATA_HOME: join(directory, "data"),
      LC_ALL: "C",
    },
  });
  let output = "";
  child.stderr.on("data", (chunk) => {
    output = (output + chunk).slice(-4000);
  });
  await answering(child, uri, () => output);
  return child;
}

/**
 * Resolves when the daemon answers. The daemon does not announce its readiness, so this function polls until it answers
 * or exits.
 */
async function answering(child: ChildProcess, uri: string, output: () => string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (let error: unknown; ; ) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`The private libvirtd did not start: ${output()}`, { cause: error });
    }
    try {
      const client = await createLibvirtClient({ uri });
      client.close();
      return;
    } catch (caught) {
      error = caught;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function destroyAllDomains(uri: string): Promise<void> {
  const client = await createLibvirtClient({ uri });
  try {
    for (const domain of await client.listAllDomains("active")) await destroyAfterRestart(client, domain);
  } finally {
    client.close();
  }
}

/**
 * Destroys a running domain soon after the daemon's start. While libvirt 9.0 still reconnects to its guests, destroy
 * kills QEMU but then answers "domain is not running" (seen in two of three tries).
 */
export async function destroyAfterRestart(client: LibvirtClient, domain: Domain): Promise<void> {
  try {
    await client.destroyDomain(domain);
  } catch (error) {
    if (!isLibvirtError(error, LibvirtErrorCode.OPERATION_INVALID)) throw error;
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

function findProgram(name: string): string | undefined {
  return SEARCH_PATH.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
