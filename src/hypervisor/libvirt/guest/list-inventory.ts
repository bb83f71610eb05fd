import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  DirectoryEntry,
  DomainEntry,
  GuestInventory,
  GuestLogEntry,
  InterfaceEntry,
  LeaseEntry,
  MisnamedEntry,
} from "../../../core/audit/inventories.ts";
import { guestName, jobIdOfGuest } from "../../../core/job/job.ts";
import type { Domain } from "../../../libvirt/index.ts";
import { isLibvirtError, LibvirtErrorCode } from "../../../libvirt/index.ts";
import { readGuestDirectories } from "../../guest-directories.ts";
import { isGone, type LibvirtHost, readOwnership } from "../host.ts";
import { readMacAddress, sharedPrefix } from "../mac-addresses.ts";
import type { Ownership } from "../ownership.ts";
import { guestPaths } from "./guest-paths.ts";
import { powerOf } from "./power.ts";

/** Directory in which the kernel shows the host's network interfaces. */
const INTERFACES_DIRECTORY = "/sys/class/net";

/**
 * First byte of the host's end of a card; libvirt replaces the guest's first byte, so that a bridge never uses the
 * address.
 */
const HOST_END_PREFIX = "fe";

/** Lists all parts of our guests on this host. Conclusions are drawn elsewhere. */
export async function listInventory(host: LibvirtHost): Promise<GuestInventory> {
  const directories = await listDirectories(host);
  const found = await host.client.listAllDomains();
  const names = new Set(found.map(({ name }) => name));
  const owned = await listOwnedDomains(host, found);
  return {
    directories,
    domains: owned.flatMap((one) => (one.kind === "guest" ? [one.entry] : [])),
    misnamed: owned.flatMap((one) => (one.kind === "misnamed" ? [one.entry] : [])),
    logs: await listLogs(host, names),
    leases: await listLeases(host),
    interfaces: await listInterfaces(host),
  };
}

async function listDirectories({ guestsDir }: LibvirtHost): Promise<DirectoryEntry[]> {
  const directories = await readGuestDirectories(guestsDir);
  return Promise.all(
    directories.map(async (directory) => ({
      ...directory,
      macAddress: await readMacAddress(directory.path),
    })),
  );
}

type OwnedDomain =
  | { readonly kind: "guest"; readonly entry: DomainEntry }
  | { readonly kind: "misnamed"; readonly entry: MisnamedEntry };

/** Lists the domains with our mark, whatever their names; a foreign domain may have a name of our form. */
async function listOwnedDomains(host: LibvirtHost, domains: readonly Domain[]): Promise<OwnedDomain[]> {
  const owned: OwnedDomain[] = [];
  for (const domain of domains) {
    try {
      const ownership = await readOwnership(host, domain);
      if (ownership?.owner === host.ownerId) owned.push(await describe(host, domain, ownership));
    } catch (error) {
      // The domain was removed during the listing.
      if (!isGone(error)) throw error;
    }
  }
  return owned;
}

async function describe(host: LibvirtHost, domain: Domain, ownership: Ownership): Promise<OwnedDomain> {
  const { name } = domain;
  const { jobId, attempt } = ownership;
  if (jobIdOfGuest(name) !== jobId)
    return { kind: "misnamed", entry: { name, jobId, command: `virsh undefine ${name}` } };
  const power = powerOf(await host.client.domainState(domain));
  const { overlay, seed, directory } = guestPaths(host.guestsDir, jobId);
  const needs = [overlay, seed].map((path) => path.slice(directory.length + 1));
  return { kind: "guest", entry: { name, jobId, attempt, power, needs } };
}

/** Lists QEMU's logs of guests that are no longer defined; virtlogd adds a number to replaced logs. */
async function listLogs(
  { domainLogDir }: LibvirtHost,
  domainNames: ReadonlySet<string>,
): Promise<GuestLogEntry[]> {
  if (domainLogDir === null) return [];
  const files = await readdir(domainLogDir).catch(() => []);
  return files.flatMap((file) => {
    const name = /^(.+)\.log(\.\d)?$/.exec(file)?.[1] ?? "";
    const jobId = jobIdOfGuest(name);
    if (jobId === null || domainNames.has(guestName(jobId))) return [];
    return [{ path: join(domainLogDir, file), jobId }];
  });
}

/**
 * Lists the leases of our pool of cards. A guest beyond the pool has a card of libvirt's choice, which cannot be
 * recognised.
 */
async function listLeases({ client, network, ownerId }: LibvirtHost): Promise<LeaseEntry[]> {
  try {
    const leases = await client.dhcpLeases(await client.lookupNetwork(network));
    return leases
      .filter(({ mac }) => mac?.startsWith(sharedPrefix(ownerId)))
      .map(({ mac = "", address, expirySeconds }) => ({
        macAddress: mac,
        address,
        expiresAt: Number(expirySeconds) * 1000,
      }));
  } catch (error) {
    if (isWithoutLeases(error)) return [];
    throw error;
  }
}

/** True for a network without leases: it is missing, inactive, or without a DHCP server of libvirt. */
function isWithoutLeases(error: unknown): boolean {
  const codes = [
    LibvirtErrorCode.NO_NETWORK,
    LibvirtErrorCode.OPERATION_INVALID,
    LibvirtErrorCode.NO_SUPPORT,
  ];
  return codes.some((code) => isLibvirtError(error, code));
}

/** Lists the host's ends of our pool of cards, where the kernel shows them. */
async function listInterfaces({ ownerId }: LibvirtHost): Promise<InterfaceEntry[]> {
  const prefix = sharedPrefix(ownerId);
  const ours: InterfaceEntry[] = [];
  for (const name of await readdir(INTERFACES_DIRECTORY).catch(() => [])) {
    const address = await readFile(join(INTERFACES_DIRECTORY, name, "address"), "utf8").catch(() => "");
    if (!address.startsWith(HOST_END_PREFIX + prefix.slice(HOST_END_PREFIX.length))) continue;
    const macAddress = prefix + address.trim().slice(prefix.length);
    ours.push({ name, macAddress, command: `ip -d link show ${name}` });
  }
  return ours;
}
