import { SolsticeError } from "../../../core/errors.ts";
import { rangeAround, rangeText } from "../../../core/image-map/cidr.ts";
import { parseXml } from "../xml.ts";

/** Facts about the guests' network for the firewall. */
export interface NetworkFacts {
  readonly bridge: string;
  readonly gateway: string;
  /** Such as `192.168.122.0/24`. */
  readonly subnet: string;
}

/**
 * Reads a network's XML. Throws `network_missing` for a network that is not a bridge with an IPv4 address and a DHCP
 * server of libvirt: its traffic would not pass this host, or the owner of an address would be unknown.
 */
export function parseNetworkFacts(xml: string, name: string): NetworkFacts {
  const { network } = parseXml(xml);
  const bridge: unknown = network?.bridge?.name;
  const addresses: unknown = network?.ip;
  const ip = Array.isArray(addresses)
    ? addresses.find((one) => one?.family === undefined || one.family === "ipv4")
    : undefined;
  const subnet = ip && rangeAround(String(ip.address), prefixLength(ip));
  if (typeof bridge === "string" && bridgeName.test(bridge) && subnet && ip.dhcp !== undefined) {
    return { bridge, gateway: String(ip.address), subnet: rangeText(subnet) };
  }
  throw new SolsticeError(
    "network_missing",
    `The guests' firewall does not work on the libvirt network '${name}': it is not a bridge with an IPv4 address and DHCP of this host.`,
    { remedy: "Use a NAT or routed network such as 'default', or FIREWALL=off where guests are trusted." },
  );
}

/** An interface name that nft reads unchanged within quotes. */
const bridgeName = /^[A-Za-z0-9_.-]{1,15}$/;

function prefixLength(ip: { prefix?: string; netmask?: string }): number {
  if (ip.prefix !== undefined) return Number(ip.prefix);
  const bytes = (ip.netmask ?? "").split(".").map(Number);
  if (bytes.length !== 4 || bytes.some((byte) => !(byte >= 0 && byte <= 255))) return -1;
  const mask = bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return /^1*0*$/.test(mask) ? mask.lastIndexOf("1") + 1 : -1;
}
