/** What a guest is told of its network. */
export interface GuestNetwork {
  readonly macAddress: string;
  readonly address: string;
  /** Of the subnet, in bits. */
  readonly prefix: number;
  readonly gateway: string;
  readonly nameservers: readonly string[];
}

/**
 * The third document of a NoCloud seed, in cloud-init's format of version 2: a static address, since nothing serves DHCP on the
 * guests' link. The card is known by its hardware address: names differ between systems. `gateway4` is what every version of
 * cloud-init reads. The layout of the lines is fixed: the tiny guest (images/tiny) reads it with sed.
 */
export function buildNetworkConfig({
  macAddress,
  address,
  prefix,
  gateway,
  nameservers,
}: GuestNetwork): string {
  return `version: 2
ethernets:
  net0:
    match: {macaddress: "${macAddress}"}
    addresses: [${address}/${prefix}]
    gateway4: ${gateway}
    nameservers: {addresses: [${nameservers.join(", ")}]}
`;
}

/** The most nameservers that are handed on: resolvers ask no more than three. */
const maxNameservers = 3;

/** The IPv4 nameservers of a resolv.conf. Those of the host itself (127…) answer no guest. */
export function nameserversOf(resolvConf: string): string[] {
  const found = [...resolvConf.matchAll(/^\s*nameserver\s+(\d{1,3}(?:\.\d{1,3}){3})\s*$/gm)];
  return found
    .flatMap(([, address = ""]) => (address.startsWith("127.") ? [] : [address]))
    .slice(0, maxNameservers);
}
