import type { GuestPower } from "../../../core/job/guest.ts";

/** The states of a zone in zoneadm(8). */
const zoneStates = [
  "configured",
  "incomplete",
  "installed",
  "ready",
  "mounted",
  "running",
  "shutting_down",
  "down",
] as const;

/** One of the states of zoneadm(8); `unknown` for a state of a newer system. */
export type ZoneState = (typeof zoneStates)[number] | "unknown";

/**
 * Maps a zone's state to a power state: a zone that shuts down has power until it is down. A zone in state `ready` has
 * no running guest.
 */
export function powerOf(state: ZoneState): GuestPower {
  return state === "running" || state === "shutting_down" || state === "down" ? "running" : "stopped";
}

/** A zone of the host in `zoneadm list`. */
export interface ListedZone {
  readonly name: string;
  readonly state: ZoneState;
  readonly path: string;
  readonly brand: string;
}

/**
 * Parses the output of `zoneadm list -cp` (zoneadm(8): `zoneid:zonename:state:zonepath:uuid:brand:ip-type`). A colon in
 * a field is escaped; the id of a zone without power is `-`; OmniOS adds fields at the end, which are ignored. A line
 * with fewer fields is skipped.
 */
export function parseZoneList(text: string): ListedZone[] {
  return text.split("\n").flatMap((line) => {
    const [, name, state, path, , brand] = splitFields(line);
    if (!name || state === undefined || path === undefined || brand === undefined) return [];
    return [{ name, state: zoneStateOf(state), path, brand }];
  });
}

/** Splits a line at its colons; a backslash escapes the next character. */
export function splitFields(line: string): string[] {
  const fields = [""];
  for (const [part] of line.matchAll(/\\?./gs)) {
    if (part === ":") fields.push("");
    else fields[fields.length - 1] += part.length === 2 ? part.slice(1) : part;
  }
  return fields;
}

function zoneStateOf(text: string): ZoneState {
  return zoneStates.find((state) => state === text) ?? "unknown";
}
