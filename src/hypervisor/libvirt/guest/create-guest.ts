import { chmod, mkdir, rename } from "node:fs/promises";
import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import { formatBytes, freeBytes } from "../../../host/files/disk-space.ts";
import type { GuestSpec } from "../../hypervisor.ts";
import type { LibvirtHost } from "../host.ts";
import type { Ownership } from "../ownership.ts";
import { type Creation, decideCreate } from "./decide.ts";
import { buildDomainXml } from "./domain-xml.ts";
import { type GuestPaths, guestPaths } from "./guest-paths.ts";
import { observeGuest } from "./observe.ts";
import { createOverlay } from "./overlay.ts";
import { takeSteps } from "./remove-guest.ts";

/**
 * Creates a guest without power. The domain is defined last, so a domain with our mark has complete files; files
 * without a domain come from a crash during create (or from an earlier attempt), and are created from the start.
 */
export async function createGuest(host: LibvirtHost, spec: GuestSpec): Promise<void> {
  const guest = await observeGuest(host, spec.jobId);
  const creation = decideCreate(guest, spec);
  if (creation.kind === "done") return;
  if (creation.kind !== "make") throw refusal(spec, creation);
  warnOfAbandoned(host, creation.abandoned);
  await takeSteps(host, spec.jobId, { guest, steps: creation.steps });
  await requireFreeSpace(host);
  const paths = guestPaths(host.guestsDir, spec.jobId);
  await createFiles(host, spec, paths);
  await defineDomain(host, spec, paths);
}

function warnOfAbandoned({ log }: LibvirtHost, abandoned: Ownership | null): void {
  if (abandoned === null) return;
  const { jobId, attempt, owner } = abandoned;
  log.warn({ guest: guestName(jobId), attempt, owner }, "removing the guest of a lost host");
}

function refusal(
  { jobId, attempt }: GuestSpec,
  creation: Exclude<Creation, { kind: "done" | "make" }>,
): SolsticeError {
  const name = guestName(jobId);
  if (creation.kind === "outdated") {
    const text = `A guest ${name} of attempt ${creation.attempt} exists; attempt ${attempt} is outdated.`;
    return new SolsticeError("already_exists", text);
  }
  return new SolsticeError("already_exists", `A domain ${name} of another owner exists.`, {
    remedy: `Inspect it with \`virsh dumpxml ${name}\`; remove or rename it if it is not needed.`,
  });
}

async function requireFreeSpace({ guestsDir, reserveBytes }: LibvirtHost): Promise<void> {
  const free = await freeBytes(guestsDir);
  if (free >= reserveBytes) return;
  const text = `Only ${formatBytes(free)} are free in ${guestsDir}; a new guest needs ${formatBytes(reserveBytes)}.`;
  throw new SolsticeError("disk_full", text, { remedy: "Free space, or set another data directory." });
}

async function createFiles(host: LibvirtHost, spec: GuestSpec, paths: GuestPaths): Promise<void> {
  await mkdir(paths.directory);
  // Directory mode: QEMU's user must pass through, and other users cannot list it. chmod, because mkdir's mode depends
  // on the umask.
  await chmod(paths.directory, 0o711);
  await createOverlay(host.run, paths.overlay, spec);
  const partial = `${paths.seed}.partial`;
  await host.writeSeed(partial, spec.seed, spec.seedFormat);
  // The seed contains a token. libvirt gives the file to QEMU's user when the guest starts.
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
