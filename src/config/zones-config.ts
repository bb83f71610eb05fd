import { parseRange, rangeText } from "../core/image-map/cidr.ts";

/** An IPv4 network: its first address, and the length of its prefix. */
export interface Subnet {
  readonly address: string;
  readonly prefix: number;
}

/** The addresses for guests, both ends included. */
export interface GuestAddresses {
  readonly first: string;
  readonly last: string;
}

/** The resources of an illumos host that the zones backend uses. */
export interface ZonesConfig {
  /** The dataset above images, disks and zones, such as `rpool/solstice`. */
  readonly pool: string;
  /** The etherstub, bridge or network card below guests' VNICs. */
  readonly link: string;
  /** The host's interface on that link; guests call its address. */
  readonly vnic: string;
  readonly subnet: Subnet;
  /** The guests' default router; the address of `vnic` if the backend creates it. */
  readonly gateway: string;
  /** Addresses in `subnet`, without the gateway. */
  readonly addresses: GuestAddresses;
  /** Null: the servers in /etc/resolv.conf. */
  readonly nameservers: readonly string[] | null;
}

/** The parsed options of zones. An option with an invalid text is absent, an option that was not given is null. */
export interface ZonesReading {
  readonly zonesPool?: string;
  readonly zonesLink?: string;
  readonly zonesVnic?: string;
  readonly zonesSubnet?: Subnet;
  readonly zonesGateway?: string | null;
  readonly zonesAddresses?: GuestAddresses | null;
  readonly zonesNameservers?: readonly string[] | null;
}

/** Contradictions between the options of zones, each with the valid values. Options with an invalid text are skipped. */
export function zonesProblems(reading: ZonesReading, guestsMax: number | null): string[] {
  const { zonesLink, zonesVnic, zonesSubnet, zonesGateway, zonesAddresses } = reading;
  const problems = [];
  if (zonesLink !== undefined && zonesLink === zonesVnic) {
    problems.push(
      `--zones-vnic: ${zonesVnic} is the link below guests' VNICs (ZONES_LINK); needs another name.`,
    );
  }
  if (zonesSubnet === undefined || zonesGateway === undefined) return problems;
  const gateway = zonesGateway ?? firstAddress(zonesSubnet);
  if (!isHostAddress(gateway, zonesSubnet)) {
    return [
      ...problems,
      `--zones-gateway: ${gateway} is no address of a machine in ${subnetText(zonesSubnet)} (ZONES_SUBNET); needs one of ${hostsText(zonesSubnet)}.`,
    ];
  }
  if (zonesAddresses === undefined) return problems;
  const addresses = zonesAddresses ?? restOf(zonesSubnet, gateway);
  return [...problems, ...addressProblems(addresses, { gateway, subnet: zonesSubnet, guestsMax })];
}

/** The configuration of zones, for options without problems. */
export function zonesConfig(
  values: Required<ZonesReading> & { readonly zonesGateway: string | null },
): ZonesConfig {
  const { zonesSubnet: subnet } = values;
  const gateway = values.zonesGateway ?? firstAddress(subnet);
  return Object.freeze({
    pool: values.zonesPool,
    link: values.zonesLink,
    vnic: values.zonesVnic,
    subnet: Object.freeze(subnet),
    gateway,
    addresses: Object.freeze(values.zonesAddresses ?? restOf(subnet, gateway)),
    nameservers: values.zonesNameservers && Object.freeze(values.zonesNameservers),
  });
}

/** Number of addresses, both ends included. */
export function addressCount({ first, last }: GuestAddresses): number {
  return numberOf(last) - numberOf(first) + 1;
}

/** `10.88.0.0/24`. */
export function subnetText({ address, prefix }: Subnet): string {
  return `${address}/${prefix}`;
}

function addressProblems(
  addresses: GuestAddresses,
  around: { readonly gateway: string; readonly subnet: Subnet; readonly guestsMax: number | null },
): string[] {
  const { gateway, subnet, guestsMax } = around;
  const range = `${addresses.first}-${addresses.last}`;
  if (!isHostAddress(addresses.first, subnet) || !isHostAddress(addresses.last, subnet)) {
    return [
      `--zones-addresses: ${range} does not lie in ${subnetText(subnet)} (ZONES_SUBNET); needs addresses of ${hostsText(subnet)}.`,
    ];
  }
  const problems = [];
  if (numberOf(addresses.first) <= numberOf(gateway) && numberOf(gateway) <= numberOf(addresses.last)) {
    problems.push(
      `--zones-addresses: ${range} contains ${gateway}, the gateway of guests; needs a range without it, such as ${rangeOf(restOf(subnet, gateway))}.`,
    );
  }
  const count = addressCount(addresses);
  if (guestsMax !== null && count < guestsMax) {
    problems.push(
      `--zones-addresses: ${range} has ${count} addresses, but there may be ${guestsMax} guests (MAX_CONCURRENCY and MAX_HOLDS); needs as many addresses as guests.`,
    );
  }
  return problems;
}

/** The longer part of the network on one side of the gateway. */
function restOf(subnet: Subnet, gateway: string): GuestAddresses {
  const [first, last] = hostsOf(subnet);
  const middle = numberOf(gateway);
  const [below, above] = [middle - first, last - middle];
  return below > above
    ? { first: textOf(first), last: textOf(middle - 1) }
    : { first: textOf(middle + 1), last: textOf(last) };
}

/** The first and the last address for machines: without the network address and the broadcast address. */
function hostsOf({ address, prefix }: Subnet): readonly [number, number] {
  const network = numberOf(address);
  return [network + 1, network + 2 ** (32 - prefix) - 2];
}

function isHostAddress(address: string, subnet: Subnet): boolean {
  const [first, last] = hostsOf(subnet);
  return numberOf(address) >= first && numberOf(address) <= last;
}

function firstAddress(subnet: Subnet): string {
  return textOf(hostsOf(subnet)[0]);
}

function hostsText(subnet: Subnet): string {
  const [first, last] = hostsOf(subnet);
  return `${textOf(first)} to ${textOf(last)}`;
}

function rangeOf({ first, last }: GuestAddresses): string {
  return `${first}-${last}`;
}

function numberOf(address: string): number {
  return parseRange(address)?.first ?? Number.NaN;
}

function textOf(number: number): string {
  return rangeText({ first: number, prefix: 32 });
}
