import type { Context } from "../host/context.ts";
import { findZone, stateOf, type Zone, type ZoneState } from "./records.ts";

/** The state of a zone by its name; null when it does not exist. */
export function stateOfName(context: Context, name: string): ZoneState | null {
  const zone = findZone(context, name);
  return zone ? stateOf(zone) : null;
}

/** True when the zone is installed, ready or running: zonecfg then refuses some changes. */
export function isAtLeastInstalled(zone: Zone): boolean {
  return !["configured", "incomplete"].includes(stateOf(zone));
}
