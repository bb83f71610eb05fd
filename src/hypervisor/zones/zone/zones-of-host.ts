import { guestName } from "../../../core/job/job.ts";
import { ask, type CommandHost, succeed } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";
import { type ConfiguredZone, zoneOwnership } from "../ownership.ts";
import { parseZoneExport } from "./zone-export.ts";
import { type ListedZone, parseZoneList } from "./zone-list.ts";

/** The brand of the zones that guests are. */
export const guestBrand = "bhyve";

/** All zones of the host, the global one too. */
export async function listZones(host: CommandHost): Promise<ListedZone[]> {
  return parseZoneList(await succeed(host, "zoneadm", ["list", "-cp"]));
}

/** A zone's configuration; null where it is gone meanwhile. */
export async function readZone(host: CommandHost, zone: ListedZone): Promise<ConfiguredZone | null> {
  const args = ["-z", zone.name, "export"];
  const result = await ask(host, "zonecfg", args);
  if (result.exitCode !== 0 && !isAbsent(result)) throw toHostError({ program: "zonecfg", args, ...result });
  return result.exitCode === 0 ? { ...zone, configuration: parseZoneExport(result.stdout) } : null;
}

/** The zone of a guest's name, whoever made it; null where there is none. */
export async function findZone(host: CommandHost, jobId: string): Promise<ConfiguredZone | null> {
  const zone = (await listZones(host)).find(({ name }) => name === guestName(jobId));
  return zone === undefined ? null : readZone(host, zone);
}

/** Whether a zone is the guest of this job that this installation made. */
export function isGuestZone(zone: ConfiguredZone, ownerId: string, jobId: string): boolean {
  const ownership = zoneOwnership(zone);
  return ownership?.owner === ownerId && ownership.jobId === jobId;
}
