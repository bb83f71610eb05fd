import type { Context } from "../host/context.ts";
import { isAlive } from "../host/processes.ts";
import { change, row, rows } from "../host/state.ts";

/** A resource of a zone's configuration: a net, device, fs, attr …; lists contain values that were added one by one. */
export interface Resource {
  readonly type: string;
  readonly properties: Readonly<Record<string, string | readonly string[]>>;
}

/** A zone's configuration as zonecfg keeps it. */
export interface ZoneConfig {
  readonly brand: string;
  readonly zonepath: string;
  /** The other global properties: autoboot, ip-type … */
  readonly properties: Readonly<Record<string, string>>;
  readonly resources: readonly Resource[];
}

/** The states that a zone keeps on disk; the others are those of a running zone. */
export type StoredState = "configured" | "incomplete" | "installed";

/** The states in `zoneadm list -v`. */
export type ZoneState = StoredState | "ready" | "running" | "shutting_down" | "down";

/** A zone. */
export interface Zone {
  readonly name: string;
  readonly serial: number;
  readonly stored: StoredState;
  readonly uuid: string;
  readonly config: ZoneConfig;
  /** The kernel's number of a running zone. */
  readonly id: number | null;
  /** The process of the guest. */
  readonly pid: number | null;
  readonly started: string | null;
  /** The phase of a running zone. */
  readonly phase: "ready" | "running" | "shutting_down" | "down" | null;
}

type ZoneRow = Omit<Zone, "config" | "stored"> & { readonly config: string; readonly state: StoredState };

function fromRow({ config, state, ...rest }: ZoneRow): Zone {
  return { ...rest, stored: state, config: JSON.parse(config) as ZoneConfig };
}

/** Finds a zone by its name. */
export function findZone({ database }: Context, name: string): Zone | undefined {
  const found = row<ZoneRow>(database, "SELECT * FROM zones WHERE name = ?", name);
  return found && fromRow(found);
}

/** All zones in the order of their configuration. */
export function allZones({ database }: Context): Zone[] {
  return rows<ZoneRow>(database, "SELECT * FROM zones ORDER BY serial").map(fromRow);
}

/** True while a zone's guest is running. The end of the guest, for any reason, halts the zone. */
export function isLive(zone: Zone): boolean {
  return zone.pid !== null && zone.started !== null && isAlive({ pid: zone.pid, started: zone.started });
}

/** The running zones. */
export function liveZones(context: Context): Zone[] {
  return allZones(context).filter(isLive);
}

/** The current state of a zone. */
export function stateOf(zone: Zone): ZoneState {
  return isLive(zone) ? (zone.phase ?? "running") : zone.stored;
}

/** Changes the stored state of a zone. */
export function updateZone(
  { database }: Context,
  name: string,
  values: Partial<Pick<Zone, "stored" | "uuid" | "id" | "pid" | "started" | "phase">>,
): void {
  for (const [key, value] of Object.entries(values)) {
    change(database, `UPDATE zones SET ${key === "stored" ? "state" : key} = ? WHERE name = ?`, value, name);
  }
}

/** Values of the attributes whose names match, in the order of the configuration. */
export function attributeValues(config: ZoneConfig, name: RegExp): string[] {
  return config.resources
    .filter(({ type, properties }) => type === "attr" && name.test(String(properties.name)))
    .map(({ properties }) => String(properties.value));
}

/** One attribute's value. */
export function attribute(config: ZoneConfig, name: string): string | undefined {
  return attributeValues(config, new RegExp(`^${name}$`))[0];
}
