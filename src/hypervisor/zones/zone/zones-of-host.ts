import { guestName } from "../../../core/job/job.ts";
import { type CommandHost, execute, executeOrThrow } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";
import { type ConfiguredZone, zoneOwnership } from "../ownership.ts";
import { parseZoneExport } from "./zone-export.ts";
import { type ListedZone, parseZoneList } from "./zone-list.ts";

/** The brand of guests' zones. */
export const guestBrand = "bhyve";

/** Lists all zones of the host, including the global one. */
export async function listZones(host: CommandHost): Promise<ListedZone[]> {
  return parseZoneList(await executeOrThrow(host, "zoneadm", ["list", "-cp"]));
}

/** Reads a zone's configuration; null when the zone was removed meanwhile. */
export async function readZone(host: CommandHost, zone: ListedZone): Promise<ConfiguredZone | null> {
  const args = ["-z", zone.name, "export"];
  const result = await execute(host, "zonecfg", args);
  if (result.exitCode !== 0 && !isAbsent(result)) throw toHostError({ program: "zonecfg", args, ...result });
  return result.exitCode === 0 ? { ...zone, configuration: parseZoneExport(result.stdout) } : null;
}

/** Finds the zone of a guest's name, of any owner; null when it does not exist. */
export async function findZone(host: CommandHost, jobId: string): Promise<ConfiguredZone | null> {
  const zone = (await listZones(host)).find(({ name }) => name === guestName(jobId));
  return zone === undefined ? null : readZone(host, zone);
}

/** True when a zone is the guest of this job that this installation created. */
export function isGuestZone(zone: ConfiguredZone, ownerId: string, jobId: string): boolean {
  const ownership = zoneOwnership(zone);
  return ownership?.owner === ownerId && ownership.jobId === jobId;
}
