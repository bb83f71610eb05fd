import type { Context } from "../host/context.ts";
import { change, exclusively, rows } from "../host/state.ts";
import { allZones, isLive, updateZone, type Zone } from "./records.ts";

/**
 * zoneadmd's work when a zone comes down for any reason: the zone loses its number, and its links lose their
 * `protection` and `allowed-ips`, also when an operator set them (remove_datalink_protect of vplat.c).
 */
export function tearDown(context: Context, zone: Zone): void {
  updateZone(context, zone.name, { id: null, pid: null, started: null, phase: null });
  for (const { type, properties } of zone.config.resources) {
    if (type !== "net") continue;
    const sql = "DELETE FROM link_properties WHERE link = ? AND name IN ('protection', 'allowed-ips')";
    change(context.database, sql, String(properties.physical));
  }
}

/** Tears down the zones whose guest has ended since the last command: the stand-in has no background watch. */
export function tearDownEnded(context: Context): void {
  const { database } = context;
  if (rows(database, "SELECT name FROM zones WHERE pid IS NOT NULL").length === 0) return;
  const hasEnded = (zone: Zone) => zone.pid !== null && !isLive(zone);
  if (!allZones(context).some(hasEnded)) return;
  exclusively(database, () => {
    for (const zone of allZones(context)) if (hasEnded(zone)) tearDown(context, zone);
  });
}
