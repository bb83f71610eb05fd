import { isIPv4 } from "node:net";

/** The most nameservers that are handed on: resolvers ask no more than three. */
const maxNameservers = 3;

/** The IPv4 nameservers of a resolv.conf. Those of the host itself (127…) answer no guest. */
export function nameserversOf(resolvConf: string): string[] {
  const found = [...resolvConf.matchAll(/^\s*nameserver\s+(\S+)\s*$/gm)].map(([, address = ""]) => address);
  return found.filter((address) => isIPv4(address) && !address.startsWith("127.")).slice(0, maxNameservers);
}
