import { isIPv4 } from "node:net";

/** Largest number of nameservers that guests get: resolvers use at most three. */
const maxNameservers = 3;

/** Returns the IPv4 nameservers of a resolv.conf, without those of the host itself (127…), which guests cannot reach. */
export function nameserversOf(resolvConf: string): string[] {
  const found = [...resolvConf.matchAll(/^\s*nameserver\s+(\S+)\s*$/gm)].map(([, address = ""]) => address);
  return found.filter((address) => isIPv4(address) && !address.startsWith("127.")).slice(0, maxNameservers);
}
