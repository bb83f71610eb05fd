import { distinctRanges, parseRange, rangeText } from "./cidr.ts";

/**
 * The networks that a guest may reach besides DNS, DHCP and its runner endpoint. `open`: the internet, and those of the
 * operator's own networks that `GUEST_LAN_ACCESS` lists. `none`: no network. A list: only these IPv4 ranges, public or
 * private.
 */
export type Egress = "open" | "none" | readonly string[];

/** Largest number of ranges in one list; the firewall compares every packet with them. */
export const egressRangesMax = 100;

/**
 * Ranges that are not public on the internet, and so may be the operator's own: RFC 6890's private, shared, link-local,
 * loopback and reserved ranges, and multicast. Ranges for documentation are left out: either they are unused, or
 * an operator uses them on purpose.
 */
export const privateRanges: readonly string[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/3",
];

/** Description of a valid range, to follow the word "needs". */
export const rangeRule =
  "an IPv4 address or range, such as 10.1.2.3 or 10.1.0.0/16 (no bits after the prefix)";

/**
 * The same ranges, sorted and without repetition, as text. Throws a `TypeError` for a text that {@link parseRange}
 * refuses.
 */
export function normaliseRanges(texts: readonly string[]): string[] {
  const ranges = texts.map((text) => {
    const range = parseRange(text);
    if (range === null) throw new TypeError(`${JSON.stringify(text)} is not ${rangeRule}`);
    return range;
  });
  return distinctRanges(ranges).map(rangeText);
}

/** A text that is equal for equal policies. */
export function egressKey(egress: Egress): string {
  return typeof egress === "string" ? egress : egress.join(",");
}
