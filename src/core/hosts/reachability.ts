import { isWithin, parseRange } from "../image-map/cidr.ts";
import { type Egress, privateRanges } from "../image-map/egress.ts";
import { parseRepositoryUrl } from "../text/repository-url.ts";

/** A server that guests connect to. */
export interface NetworkTarget {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The networks that the firewall around the guests of a host lets through. */
export interface ReachableNetworks {
  /** The egress of the guest's image. */
  readonly egress: Egress;
  readonly lanAccess: readonly string[];
  readonly hostPorts: readonly number[];
  /** The host's address on the guests' network. */
  readonly gateway: string;
  /** Every address of the host. */
  readonly hostAddresses: readonly string[];
}

const defaultPorts = { http: 80, https: 443, ssh: 22, scp: 22, git: 9418 } as const;

/** The server that git connects to for a repository; null for a URL that names no server. */
export function targetOfRepository(url: string): NetworkTarget | null {
  const address = parseRepositoryUrl(url);
  const host = address?.host.replace(/^\[|\]$/g, "") ?? "";
  if (address === null || host === "") return null;
  const port = address.port ? Number(address.port) : defaultPorts[address.form];
  return { host, port };
}

/**
 * The reason why guests cannot reach a server, with the remedy; null when their own host does not prevent it.
 * `addresses` are all of the server's, as the host resolves them; `networks` is null when our firewall is not
 * installed.
 */
export function whyUnreachable(
  target: NetworkTarget,
  addresses: readonly string[],
  networks: ReachableNetworks | null,
): string | null {
  const ranges = addresses.filter((address) => parseRange(address) !== null);
  if (ranges.length === 0) return addresses.length === 0 ? null : onlyIpv6(target, addresses, networks);
  const reasons = ranges.map((address) => whyAddressUnreachable(target, address, networks));
  // Git tries each address.
  return reasons.includes(null) ? null : (reasons[0] ?? null);
}

function onlyIpv6(
  { host }: NetworkTarget,
  addresses: readonly string[],
  networks: ReachableNetworks | null,
): string | null {
  if (addresses.includes("::1")) return guestItself(host, networks);
  return (
    networks &&
    `Guests have IPv4 only, and ${host} has no IPv4 address. Give the server an IPv4 address, or start the orchestrator with FIREWALL=off.`
  );
}

function whyAddressUnreachable(
  target: NetworkTarget,
  address: string,
  networks: ReachableNetworks | null,
): string | null {
  const isIn = (range: string) => contains(range, address);
  if (isIn("127.0.0.0/8")) return guestItself(target.host, networks);
  if (networks === null) return null;
  if (address === networks.gateway || networks.hostAddresses.includes(address))
    return whyHostClosed(target, address, networks);
  if (networks.egress !== "open") {
    const isListed = networks.egress !== "none" && networks.egress.some(isIn);
    return isListed ? null : closedByImage(named(target.host, address), networks.egress);
  }
  if (networks.lanAccess.some(isIn) || !privateRanges.some(isIn)) return null;
  const value = [...networks.lanAccess, address].join(",");
  return (
    `Guests cannot reach ${named(target.host, address)}: the firewall blocks your own networks. ` +
    `To allow this, start the orchestrator with GUEST_LAN_ACCESS=${value}.`
  );
}

function guestItself(host: string, networks: ReachableNetworks | null): string {
  const address = networks?.gateway ?? "the host's address on the guests' network";
  return (
    `In a guest, ${host} is the guest itself and not the host. Let the server listen on ${address}, and use that in the ` +
    `repository's URL${networks === null ? "" : "; GUEST_HOST_PORTS opens its port to guests"}.`
  );
}

function whyHostClosed(target: NetworkTarget, address: string, networks: ReachableNetworks): string | null {
  const { port, host } = target;
  const { gateway, hostPorts } = networks;
  const isOpen = hostPorts.includes(port);
  if (isOpen && address === gateway) return null;
  const value = (isOpen ? hostPorts : [...hostPorts, port]).join(",");
  const other =
    address === gateway ? "" : ` let the server listen on ${gateway}, use that in the repository's URL, and`;
  return (
    `Guests cannot reach port ${port} of their host (${named(host, address)}). To allow this,${other} start the ` +
    `orchestrator with GUEST_HOST_PORTS=${value}.`
  );
}

function closedByImage(server: string, egress: Egress): string {
  const now = egress === "none" ? "none" : "a list without this address";
  return `Guests of this image cannot reach ${server}: its egress in the image map is ${now}. Add the address there, or choose another image.`;
}

function named(host: string, address: string): string {
  return host === address ? address : `${host} (${address})`;
}

function contains(range: string, address: string): boolean {
  const [outer, inner] = [parseRange(range), parseRange(address)];
  return outer !== null && inner !== null && isWithin(inner, outer);
}
