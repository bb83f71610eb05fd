import { isWithin, parseRange } from "../image-map/cidr.ts";
import { type Egress, privateRanges } from "../image-map/egress.ts";
import { parseRepositoryUrl } from "../text/repository-url.ts";

/** A server that guests are asked to reach. */
export interface NetworkTarget {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What the firewall around the guests of a host lets through. */
export interface ReachableNetworks {
  /** As the guest's image has it. */
  readonly egress: Egress;
  readonly lanAccess: readonly string[];
  readonly hostPorts: readonly number[];
  /** The host's address on the guests' network. */
  readonly gateway: string;
  /** Every address of the host. */
  readonly hostAddresses: readonly string[];
}

const defaultPorts = { http: 80, https: 443, ssh: 22, scp: 22, git: 9418 } as const;

/** Where git goes for a repository; null for a URL that names no server. */
export function targetOfRepository(url: string): NetworkTarget | null {
  const address = parseRepositoryUrl(url);
  const host = address?.host.replace(/^\[|\]$/g, "") ?? "";
  if (address === null || host === "") return null;
  const port = address.port ? Number(address.port) : defaultPorts[address.form];
  return { host, port };
}

/**
 * Why guests cannot reach a server, with what opens the way; null where they can, as far as their own host decides it.
 * `addresses`: all of the server's, as the host knows them; `ways`: null where there is no firewall of ours.
 */
export function whyUnreachable(
  target: NetworkTarget,
  addresses: readonly string[],
  ways: ReachableNetworks | null,
): string | null {
  const ranges = addresses.filter((address) => parseRange(address) !== null);
  if (ranges.length === 0) return addresses.length === 0 ? null : onlyIpv6(target, addresses, ways);
  const reasons = ranges.map((address) => whyAddressUnreachable(target, address, ways));
  // Git tries each address.
  return reasons.includes(null) ? null : (reasons[0] ?? null);
}

function onlyIpv6(
  { host }: NetworkTarget,
  addresses: readonly string[],
  ways: ReachableNetworks | null,
): string | null {
  if (addresses.includes("::1")) return itself(host, ways);
  return (
    ways &&
    `Guests have IPv4 only, and ${host} has no IPv4 address. Give the server one, or use FIREWALL=off.`
  );
}

function whyAddressUnreachable(
  target: NetworkTarget,
  address: string,
  ways: ReachableNetworks | null,
): string | null {
  const isIn = (range: string) => contains(range, address);
  if (isIn("127.0.0.0/8")) return itself(target.host, ways);
  if (ways === null) return null;
  if (address === ways.gateway || ways.hostAddresses.includes(address))
    return whyHostClosed(target, address, ways);
  if (ways.egress !== "open") {
    const isListed = ways.egress !== "none" && ways.egress.some(isIn);
    return isListed ? null : closedByImage(named(target.host, address), ways.egress);
  }
  if (ways.lanAccess.some(isIn) || !privateRanges.some(isIn)) return null;
  const value = [...ways.lanAccess, address].join(",");
  return (
    `Guests cannot reach ${named(target.host, address)}: the firewall closes your own networks to them. ` +
    `To open the way, start the orchestrator with GUEST_LAN_ACCESS=${value}.`
  );
}

function itself(host: string, ways: ReachableNetworks | null): string {
  const address = ways?.gateway ?? "the host's address on the guests' network";
  return (
    `In a guest ${host} is the guest itself, not the host. Let the server listen on ${address}, and name that in the ` +
    `repository's URL${ways === null ? "" : "; GUEST_HOST_PORTS opens its port to guests"}.`
  );
}

function whyHostClosed(target: NetworkTarget, address: string, ways: ReachableNetworks): string | null {
  const { port, host } = target;
  const { gateway, hostPorts } = ways;
  const isOpen = hostPorts.includes(port);
  if (isOpen && address === gateway) return null;
  const value = (isOpen ? hostPorts : [...hostPorts, port]).join(",");
  const other =
    address === gateway ? "" : ` let the server listen on ${gateway}, name that in the repository's URL, and`;
  return (
    `Guests cannot reach port ${port} of their host (${named(host, address)}). To open the way,${other} start the ` +
    `orchestrator with GUEST_HOST_PORTS=${value}.`
  );
}

function closedByImage(server: string, egress: Egress): string {
  const now = egress === "none" ? "none" : "a list without it";
  return `Guests of this image cannot reach ${server}: its egress in the image map is ${now}. Add the address there, or choose another image.`;
}

function named(host: string, address: string): string {
  return host === address ? address : `${host} (${address})`;
}

function contains(range: string, address: string): boolean {
  const [outer, inner] = [parseRange(range), parseRange(address)];
  return outer !== null && inner !== null && isWithin(inner, outer);
}
