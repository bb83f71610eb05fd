/** IPv4's loopback network, also in the form of an IPv6 socket that accepts IPv4. */
const ipv4Form = /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/;

/**
 * True when a host's name or address is the machine itself: `localhost`, `::1` (also in a URL's brackets) or 127.0.0.0/8.
 * False for a name that only begins like such an address: that may be another machine.
 */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === "localhost" || name === "::1" || name === "[::1]" || ipv4Form.test(name);
}
