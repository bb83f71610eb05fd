import type { Context } from "../host/context.ts";
import { rows } from "../host/state.ts";
import type { Resource } from "../zones/records.ts";
import { findLink, linkProperty } from "./links.ts";

/** A guest's network in the terms of QEMU's user network. */
export interface GuestNetwork {
  readonly mac: string | null;
  /** The subnet, `10.88.0.0/24`. */
  readonly net: string;
  /** The address that leads to this machine's loopback: the host's address on the same link. */
  readonly host: string;
  /** The guest's own address, which the DHCP server assigns. */
  readonly guest: string | null;
}

/** Finds the subnet of a net resource from the host's interface on the same link. */
export function guestNetwork(context: Context, { properties }: Resource): GuestNetwork {
  const physical = String(properties.physical);
  const link = findLink(context, physical);
  const over = String(properties["global-nic"] ?? link?.over ?? "");
  const allowed = String(
    properties["allowed-address"] ?? linkProperty(context, physical, "allowed-ips") ?? "",
  );
  const [guest = "", length] = allowed.split(",")[0]?.split("/") ?? [];
  const hostAddress = hostAddressOn(context, over);
  const mac = String(properties["mac-addr"] ?? link?.mac ?? "") || null;
  if (hostAddress) return { mac, net: hostAddress.net, host: hostAddress.host, guest: guest || null };
  if (!guest) return { mac, net: "10.0.2.0/24", host: "10.0.2.2", guest: null };
  const bits = length === undefined ? 24 : Number(length);
  const base = networkOf(guest, bits);
  const host = String(properties.defrouter ?? toText(toNumber(base) + 1));
  return { mac, net: `${base}/${bits}`, host, guest };
}

function hostAddressOn(context: Context, over: string): { net: string; host: string } | null {
  const sql =
    "SELECT address FROM addresses JOIN links ON links.name = addresses.interface WHERE links.over = ? OR links.name = ?";
  const found = rows<{ address: string }>(context.database, sql, over, over)[0];
  if (!found) return null;
  const [host = "", length = "24"] = found.address.split("/");
  return { host, net: `${networkOf(host, Number(length))}/${length}` };
}

function toNumber(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

/** The first address of an address's subnet. */
export function networkOf(address: string, bits: number): string {
  const size = 2 ** (32 - bits);
  return toText(Math.floor(toNumber(address) / size) * size);
}

/** The last usable address of a subnet: it is QEMU's own name server, whose default is the third address. */
export function lastAddressOf(net: string): string {
  const [address = "", bits = "24"] = net.split("/");
  return toText(toNumber(networkOf(address, Number(bits))) + 2 ** (32 - Number(bits)) - 2);
}
