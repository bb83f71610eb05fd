/** IPv4's loopback network, also as a socket for both families writes it. */
const ipv4Form = /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/;

/**
 * Whether a host's name or address leads to the machine itself: `localhost`, `::1` (also in a URL's brackets) or 127.0.0.0/8. A name
 * that only begins like such an address is somebody else's.
 */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === "localhost" || name === "::1" || name === "[::1]" || ipv4Form.test(name);
}
