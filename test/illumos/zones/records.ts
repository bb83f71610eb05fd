import type { Context } from "../host/context.ts";
import { isAlive } from "../host/processes.ts";
import { change, row, rows } from "../host/state.ts";

/** A resource of a zone's configuration: a net, device, fs, attr …; lists are values that were added one by one. */
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

/** The states that a zone keeps on disk; the others are those of a zone that the kernel runs. */
export type StoredState = "configured" | "incomplete" | "installed";

/** What `zoneadm list -v` says. */
export type ZoneState = StoredState | "ready" | "running" | "shutting_down" | "down";

/** A zone. */
export interface Zone {
  readonly name: string;
  readonly serial: number;
  readonly stored: StoredState;
  readonly uuid: string;
  readonly config: ZoneConfig;
  /** The kernel's number of a zone that runs. */
  readonly id: number | null;
  /** The process that is the guest. */
  readonly pid: number | null;
  readonly started: string | null;
  /** What a zone that runs is in the middle of. */
  readonly phase: "ready" | "running" | "shutting_down" | "down" | null;
}

type ZoneRow = Omit<Zone, "config" | "stored"> & { readonly config: string; readonly state: StoredState };

function fromRow({ config, state, ...rest }: ZoneRow): Zone {
  return { ...rest, stored: state, config: JSON.parse(config) as ZoneConfig };
}

/** Looks a zone up. */
export function findZone({ database }: Context, name: string): Zone | undefined {
  const found = row<ZoneRow>(database, "SELECT * FROM zones WHERE name = ?", name);
  return found && fromRow(found);
}

/** All zones in the order they were configured. */
export function allZones({ database }: Context): Zone[] {
  return rows<ZoneRow>(database, "SELECT * FROM zones ORDER BY serial").map(fromRow);
}

/** Whether a zone's guest lives. A zone whose guest has ended, however it did, is halted by that. */
export function isLive(zone: Zone): boolean {
  return zone.pid !== null && zone.started !== null && isAlive({ pid: zone.pid, started: zone.started });
}

/** The zones that the kernel runs. */
export function liveZones(context: Context): Zone[] {
  return allZones(context).filter(isLive);
}

/** The state of a zone now. */
export function stateOf(zone: Zone): ZoneState {
  return isLive(zone) ? (zone.phase ?? "running") : zone.stored;
}

/** Changes what is kept of a zone's life. */
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
