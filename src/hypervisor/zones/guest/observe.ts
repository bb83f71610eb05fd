import { lstat } from "node:fs/promises";
import { exists } from "../../../host/files/exists.ts";
import { diskDataset, guestPaths, zoneDataset } from "../guest-paths.ts";
import type { ZonesHost } from "../host.ts";
import { guestAddresses } from "../network/guest-network.ts";
import { listVnics } from "../network/links.ts";
import { readSlot } from "../network/read-slot.ts";
import { cardOfSlot } from "../network/slots.ts";
import { ownershipOf, ownershipProperties, zoneOwnership } from "../ownership.ts";
import { type Dataset, findDataset } from "../pool/datasets.ts";
import { findZone } from "../zone/zones-of-host.ts";
import type { ObservedDisk, ObservedGuest, ObservedZone } from "./observed.ts";

/** Properties that form a dataset's mark. */
export const markProperties: readonly string[] = Object.values(ownershipProperties);

/** Reads all possible parts of a guest. */
export async function observeGuest(host: ZonesHost, jobId: string): Promise<ObservedGuest> {
  const { pool } = host.settings;
  const paths = guestPaths(host.guestsDir, jobId);
  const [zone, disk, zoneDirectory, slot, hasDirectory, hasSeed] = await Promise.all([
    observeZone(host, jobId),
    findDataset(host, diskDataset(pool, jobId), markProperties),
    findDataset(host, zoneDataset(pool, jobId), ["type"]),
    readSlot(paths.slot),
    isDirectory(paths.directory),
    exists(paths.seed),
  ]);
  return {
    zone,
    disk: observedDisk(host, jobId, disk),
    hasZoneDataset: zoneDirectory !== null,
    vnic: await findVnic(host, slot),
    hasDirectory,
    hasSeed,
    slot,
  };
}

async function observeZone(host: ZonesHost, jobId: string): Promise<ObservedZone> {
  const zone = await findZone(host, jobId);
  if (zone === null) return { kind: "none" };
  const ownership = zoneOwnership(zone);
  if (ownership?.owner !== host.ownerId || ownership.jobId !== jobId) return { kind: "foreign" };
  return { kind: "ours", state: zone.state, attempt: ownership.attempt };
}

function observedDisk({ ownerId }: ZonesHost, jobId: string, disk: Dataset | null): ObservedDisk {
  if (disk === null) return { kind: "none" };
  const { owner, job, attempt } = ownershipProperties;
  const read = (name: string) => disk.properties.get(name);
  const mark = ownershipOf(read(owner), read(job), read(attempt));
  if (mark?.owner !== ownerId || mark.jobId !== jobId) return { kind: "foreign" };
  return { kind: "ours", attempt: mark.attempt };
}

async function findVnic(host: ZonesHost, slot: number | null): Promise<string | null> {
  const card = slot === null ? null : cardOfSlot(host.ownerId, guestAddresses(host.settings), slot);
  if (card === null) return null;
  return (await listVnics(host)).some(({ name }) => name === card.vnic) ? card.vnic : null;
}

/** True for a directory; a link to a directory is not ours. */
async function isDirectory(path: string): Promise<boolean> {
  return lstat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}
