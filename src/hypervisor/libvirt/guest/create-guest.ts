import { access, chmod, mkdir, rename } from "node:fs/promises";
import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import { formatBytes, freeBytes } from "../../../host/files/disk-space.ts";
import type { GuestSpec } from "../../hypervisor.ts";
import { findDomain, type LibvirtHost } from "../host.ts";
import { buildDomainXml } from "./domain-xml.ts";
import { type GuestPaths, guestPaths } from "./guest-paths.ts";
import { createOverlay } from "./overlay.ts";
import { removeAbandoned, removeGuest } from "./remove-guest.ts";

/**
 * Makes a guest without power. The domain is defined last, so a domain with our mark means that its files are whole;
 * files without a domain are from a crash in mid-create (or from an older attempt) and are made anew.
 */
export async function createGuest(host: LibvirtHost, spec: GuestSpec): Promise<void> {
  const paths = guestPaths(host.guestsDir, spec.jobId);
  await removeAbandoned(host, spec);
  if (await existsAlready(host, spec, paths)) return;
  await removeGuest(host, spec.jobId);
  await requireFreeSpace(host);
  await createFiles(host, spec, paths);
  await defineDomain(host, spec, paths);
}

async function existsAlready(host: LibvirtHost, spec: GuestSpec, paths: GuestPaths): Promise<boolean> {
  const found = await findDomain(host, spec.jobId);
  if (found.kind === "none") return false;
  const name = guestName(spec.jobId);
  if (found.kind === "foreign") {
    throw new SolsticeError(
      "already_exists",
      `A domain ${name} exists that this installation did not make.`,
      {
        remedy: `Look at it with \`virsh dumpxml ${name}\`; remove or rename it if it is not needed.`,
      },
    );
  }
  if (found.attempt > spec.attempt) {
    const text = `A guest ${name} of attempt ${found.attempt} exists; attempt ${spec.attempt} is outdated.`;
    throw new SolsticeError("already_exists", text);
  }
  return found.attempt === spec.attempt && (await exists(paths.overlay)) && (await exists(paths.seed));
}

async function requireFreeSpace({ guestsDir, reserveBytes }: LibvirtHost): Promise<void> {
  const free = await freeBytes(guestsDir);
  if (free >= reserveBytes) return;
  const text = `Only ${formatBytes(free)} are free in ${guestsDir}; a new guest needs ${formatBytes(reserveBytes)}.`;
  throw new SolsticeError("disk_full", text, { remedy: "Free space, or set another data directory." });
}

async function createFiles(host: LibvirtHost, spec: GuestSpec, paths: GuestPaths): Promise<void> {
  await mkdir(paths.directory);
  // QEMU's user must pass through, and nobody may list. Said by chmod, because mkdir's mode is cut by the umask.
  await chmod(paths.directory, 0o711);
  await createOverlay(host.run, paths.overlay, spec);
  const partial = `${paths.seed}.partial`;
  await host.writeSeed(partial, spec.seed, spec.seedFormat);
  // The seed holds a token. libvirt gives the file to QEMU's user when the guest starts.
  await chmod(partial, 0o600);
  await rename(partial, paths.seed);
}

async function defineDomain(host: LibvirtHost, spec: GuestSpec, paths: GuestPaths): Promise<void> {
  const { ownerId, network, virtType } = host;
  const macAddress = await host.macAddresses.take(paths.directory);
  const tapName = host.firewall?.tapFor(macAddress, spec.egress) ?? null;
  const xml = buildDomainXml({ ...spec, ownerId, network, virtType, paths, macAddress, tapName });
  await host.client.defineDomainXml(xml, { validate: true });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
