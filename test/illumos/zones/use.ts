import type { Context } from "../host/context.ts";
import { attributeValues, liveZones } from "./records.ts";

/** The running zone whose guest has this volume as a disk; or null. */
export function runningZoneWith(context: Context, volume: string): string | null {
  for (const zone of liveZones(context)) {
    const disks = attributeValues(zone.config, /^(boot)?disk\d*$/);
    if (disks.some((disk) => volumeName(disk) === volume)) return zone.name;
  }
  return null;
}

/** The volume name of a disk's value: a name, or a path below /dev/zvol, with options after a comma. */
export function volumeName(value: string): string {
  return (value.split(",")[0] ?? "").replace(/^\/dev\/zvol\/r?dsk\//, "");
}

/** The running zone whose zonepath is this directory or one below it; or null. */
export function runningZoneBelow(context: Context, path: string): string | null {
  const zone = liveZones(context).find(({ config }) => `${config.zonepath}/`.startsWith(`${path}/`));
  return zone?.name ?? null;
}

/** The running zone that has this link; or null. */
export function runningZoneWithLink(context: Context, link: string): string | null {
  const has = (resource: { type: string; properties: Record<string, unknown> }) =>
    resource.type === "net" && resource.properties.physical === link;
  return liveZones(context).find(({ config }) => config.resources.some(has))?.name ?? null;
}
