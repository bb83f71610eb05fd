import type { Context } from "../host/context.ts";
import { change, exclusively } from "../host/state.ts";
import type { Resource, Zone } from "../zones/records.ts";
import { runningZoneWithLink } from "../zones/use.ts";
import { bootFailure } from "../zones/zoneadm/failures.ts";
import { isPlumbed } from "../zones/zoneadm/verify.ts";
import { findLink, linkProperty } from "./links.ts";

/** Assigns its links to a zone that boots (configure_exclusive_network_interfaces of vplat.c). */
export function addLinks(context: Context, zone: Zone): void {
  exclusively(context.database, () => {
    for (const resource of zone.config.resources)
      if (resource.type === "net") addLink(context, zone, resource);
  });
}

function addLink(context: Context, zone: Zone, { properties }: Resource): void {
  const link = String(properties.physical);
  const fail = (...texts: string[]) =>
    bootFailure(zone.name, ...texts, "failed to add network device: Invalid argument");
  if (!findLink(context, link)) {
    if (properties["global-nic"] === undefined) throw fail();
    addLinkOnDemand(context, link, String(properties["global-nic"]));
  }
  if (isPlumbed(context, link)) {
    throw fail(`WARNING: skipping network interface '${link}' which is used in the global zone`);
  }
  const user = runningZoneWithLink(context, link);
  if (user && user !== zone.name) throw fail(`WARNING: unable to add network interface '${link}': link busy`);
  if (properties["allowed-address"] !== undefined) allowAddress(context, zone, { link, properties });
}

/** OmniOS makes a VNIC over `global-nic` when the zone boots. */
function addLinkOnDemand({ database }: Context, link: string, over: string): void {
  const sql = "INSERT INTO links (name, class, over, mac, temporary) VALUES (?, 'vnic', ?, NULL, 1)";
  change(database, sql, link, over);
}

/** allowed-address protects the link itself, and requires an unprotected link (add_net_for_linkid of vplat.c). */
function allowAddress(
  context: Context,
  zone: Zone,
  { link, properties }: { link: string; properties: Resource["properties"] },
): void {
  const fail = (text: string) => bootFailure(zone.name, text, "failed to add address: Invalid argument");
  if (linkProperty(context, link, "protection")) throw fail("Protection is already set");
  if (linkProperty(context, link, "allowed-ips")) throw fail("allowed-ips is already set");
  const [address = ""] = String(properties["allowed-address"]).split("/");
  const sql = "INSERT INTO link_properties VALUES (?, ?, ?, 1)";
  change(context.database, sql, link, "protection", "ip-nospoof");
  change(context.database, sql, link, "allowed-ips", address);
}
