import type { GuestPower } from "../../../core/job/guest.ts";

/** The states of a zone, as zoneadm(8) names them. */
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

/** One of the states of zoneadm(8); `unknown` for one that a newer system may have. */
export type ZoneState = (typeof zoneStates)[number] | "unknown";

/** What a zone's state means to us: on its way down it has power until it has none. `ready` is a zone whose guest does not run. */
export function powerOf(state: ZoneState): GuestPower {
  return state === "running" || state === "shutting_down" || state === "down" ? "running" : "stopped";
}

/** A zone of the host, as `zoneadm list` tells it. */
export interface ListedZone {
  readonly name: string;
  readonly state: ZoneState;
  readonly path: string;
  readonly brand: string;
}

/**
 * Reads what `zoneadm list -cp` prints (zoneadm(8): `zoneid:zonename:state:zonepath:uuid:brand:ip-type`). A colon in a field
 * is escaped; the id of a zone without power is `-`; OmniOS adds fields at the end, which are passed over. A line with
 * fewer fields is none.
 */
export function parseZoneList(text: string): ListedZone[] {
  return text.split("\n").flatMap((line) => {
    const [, name, state, path, , brand] = splitFields(line);
    if (!name || state === undefined || path === undefined || brand === undefined) return [];
    return [{ name, state: zoneStateOf(state), path, brand }];
  });
}

/** The fields between colons; a backslash takes the meaning of what follows it. */
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
