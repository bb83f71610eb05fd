import type { Context } from "../host/context.ts";
import { findZone, stateOf, type Zone, type ZoneState } from "./records.ts";

/** The state of a zone by its name; null when there is no such zone. */
export function stateOfName(context: Context, name: string): ZoneState | null {
  const zone = findZone(context, name);
  return zone ? stateOf(zone) : null;
}

/** Whether the zone is installed or further: what zonecfg then refuses to change. */
export function isAtLeastInstalled(zone: Zone): boolean {
  return !["configured", "incomplete"].includes(stateOf(zone));
}
