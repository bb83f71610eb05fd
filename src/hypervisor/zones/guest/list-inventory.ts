import type {
  DirectoryEntry,
  DomainEntry,
  GuestInventory,
  InterfaceEntry,
  MisnamedEntry,
} from "../../../core/audit/inventories.ts";
import { jobIdOfGuest } from "../../../core/job/job.ts";
import { readGuestDirectories } from "../../guest-directories.ts";
import { diskDataset } from "../guest-paths.ts";
import type { ZonesHost } from "../host.ts";
import { readCard } from "../network/guest-network.ts";
import { listVnics } from "../network/links.ts";
import { slotOfVnic } from "../network/slots.ts";
import { type ConfiguredZone, ownershipProperties, zoneOwnership } from "../ownership.ts";
import { listDatasets } from "../pool/datasets.ts";
import { powerOf } from "../zone/zone-list.ts";
import { guestBrand, listZones, readZone } from "../zone/zones-of-host.ts";
import { markProperties } from "./observe.ts";

/** Lists all parts of our guests on this host. Conclusions are drawn elsewhere. */
export async function listInventory(host: ZonesHost): Promise<GuestInventory> {
  const directories = await listDirectories(host);
  const zones = await listOwnedZones(host);
  const listed = new Set(directories.map(({ jobId }) => jobId));
  return {
    domains: zones.filter(isGuest).map(domainEntry),
    misnamed: zones.filter((zone) => !isGuest(zone)).map(misnamedEntry),
    directories: [...directories, ...(await listDisks(host)).filter(({ jobId }) => !listed.has(jobId))],
    logs: [],
    leases: [],
    interfaces: await listInterfaces(host),
  };
}

async function listDirectories(host: ZonesHost): Promise<DirectoryEntry[]> {
  const directories = await readGuestDirectories(host.guestsDir);
  return Promise.all(
    directories.map(async (directory) => ({
      ...directory,
      macAddress: (await readCard(host, directory.jobId))?.macAddress ?? null,
    })),
  );
}

/** Lists the zones with our mark, whatever their names; a foreign zone may have a name of our form. */
async function listOwnedZones(host: ZonesHost): Promise<ConfiguredZone[]> {
  const owned: ConfiguredZone[] = [];
  for (const zone of await listZones(host)) {
    if (zone.brand !== guestBrand) continue;
    const configured = await readZone(host, zone);
    if (configured !== null && zoneOwnership(configured)?.owner === host.ownerId) owned.push(configured);
  }
  return owned;
}

function isGuest(zone: ConfiguredZone): boolean {
  return jobIdOfGuest(zone.name) === zoneOwnership(zone)?.jobId;
}

function domainEntry(zone: ConfiguredZone): DomainEntry {
  const { jobId = "", attempt = 0 } = zoneOwnership(zone) ?? {};
  return { name: zone.name, jobId, attempt, power: powerOf(zone.state), needs: ["seed.iso", "slot"] };
}

function misnamedEntry(zone: ConfiguredZone): MisnamedEntry {
  const { jobId = "" } = zoneOwnership(zone) ?? {};
  const command = `zoneadm -z ${zone.name} uninstall -F; zonecfg -z ${zone.name} delete -F`;
  return { name: zone.name, jobId, command };
}

/**
 * Lists disks with our mark as remains of a guest: when its directory was removed by hand, the disk still identifies
 * the guest.
 */
async function listDisks(host: ZonesHost): Promise<DirectoryEntry[]> {
  const { pool } = host.settings;
  const disks = await listDatasets(host, markProperties, ["-r", "-d", "1", "-t", "volume", `${pool}/disks`]);
  return disks.flatMap(({ name, properties }) => {
    const jobId = properties.get(ownershipProperties.job) ?? "";
    const isOurs =
      properties.get(ownershipProperties.owner) === host.ownerId && name === diskDataset(pool, jobId);
    return isOurs ? [{ path: name, jobId, files: [], macAddress: null }] : [];
  });
}

/** Lists the VNICs with a name of our form. */
async function listInterfaces(host: ZonesHost): Promise<InterfaceEntry[]> {
  return (await listVnics(host))
    .filter(({ name }) => slotOfVnic(host.ownerId, name) !== null)
    .map(({ name, macAddress }) => ({ name, macAddress, command: `dladm show-vnic ${name}` }));
}
