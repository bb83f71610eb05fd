import { chmodSync, existsSync, mkdirSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Context } from "../../host/context.ts";
import { CommandFailure } from "../../host/failure.ts";
import { row } from "../../host/state.ts";
import { findLink } from "../../network/links.ts";
import { allZones, type Zone } from "../records.ts";
import { runningZoneWithLink } from "../use.ts";

/** zoneadm's checks of a zone before install and boot, and for verify (verify_details of zoneadm.c). */
export function verifyZone(context: Context, zone: Zone, operation: "install" | "boot" | "verify"): void {
  const { zonepath } = zone.config;
  const errors = pathErrors(context, zone, operation);
  if (errors.length > 0) errors.push(`could not verify zonepath ${zonepath} because of the above errors.`);
  for (const text of linkWarnings(context, zone)) context.err(text);
  errors.push(...fileSystemErrors(zone));
  if (errors.length > 0) {
    throw new CommandFailure([...errors, `zoneadm: zone ${zone.name} failed to verify`].join("\n"));
  }
}

/** validate_zonepath of zoneadm.c; `install` makes a missing zonepath, with mode 0700. */
function pathErrors(context: Context, zone: Zone, operation: string): string[] {
  const { zonepath } = zone.config;
  if (!existsSync(zonepath)) {
    if (operation === "boot") return [`zoneadm: ${zonepath}: No such file or directory`];
    if (operation === "verify") {
      context.err(`WARNING: ${zonepath} does not exist, so it could not be verified.`);
      return [];
    }
    mkdirSync(zonepath, { recursive: true, mode: 0o755 });
    chmodSync(zonepath, 0o700);
  }
  const overlap = overlapWith(context, zone);
  if (overlap) return [`${zone.name} zonepath (${zonepath}) and ${overlap} overlap.`];
  return [...modeErrors(zonepath, 0o077), ...modeErrors(dirname(zonepath), 0o022)];
}

function overlapWith(context: Context, zone: Zone): string | null {
  const path = `${zone.config.zonepath}/`;
  const other = allZones(context).find(({ name, stored, config }) => {
    const theirs = `${config.zonepath}/`;
    return (
      stored === "installed" && name !== zone.name && (theirs.startsWith(path) || path.startsWith(theirs))
    );
  });
  return other ? `${other.name} zonepath (${other.config.zonepath})` : null;
}

const modeWords: readonly (readonly [number, string])[] = [
  [0o040, "group readable"],
  [0o020, "group writable"],
  [0o010, "group executable"],
  [0o004, "world readable"],
  [0o002, "world writable"],
  [0o001, "world executable"],
];

function modeErrors(path: string, forbidden: number): string[] {
  const { mode, uid }: Stats = statSync(path);
  const bad = modeWords.filter(([bit]) => (forbidden & bit & mode) !== 0);
  const owner = uid === 0 ? [] : [`${path} is not owned by root.`];
  return [...owner, ...bad.map(([, words]) => `${path} must not be ${words}.`)];
}

/** A missing or used link is not an error yet: zoneadmd reports it when the zone boots (verify_handle of zoneadm.c). */
function linkWarnings(context: Context, zone: Zone): string[] {
  return zone.config.resources.flatMap(({ type, properties }) => {
    if (type !== "net") return [];
    const link = String(properties.physical);
    const skipping = `WARNING: skipping network interface '${link}'`;
    if (isPlumbed(context, link)) return [`${skipping} which is used in the global zone.`];
    if (!findLink(context, link)) return properties["global-nic"] ? [] : [`${skipping}: object not found`];
    const user = runningZoneWithLink(context, link);
    if (user && user !== zone.name) return [`${skipping} which is used by the non-global zone '${user}'.`];
    return [];
  });
}

/** True when the global zone has an interface on this link. */
export function isPlumbed({ database }: Context, link: string): boolean {
  return row(database, "SELECT name FROM interfaces WHERE name = ?", link) !== undefined;
}

function fileSystemErrors({ config }: Zone): string[] {
  return config.resources.flatMap(({ type, properties }) => {
    const [dir, special] = [String(properties.dir), String(properties.special)];
    if (type !== "fs" || properties.type === "zfs" || existsSync(special)) return [];
    return [`could not verify fs ${dir}: could not access ${special}: No such file or directory`];
  });
}
