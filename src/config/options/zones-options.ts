import { parseRange, rangeText } from "../../core/image-map/cidr.ts";
import type { GuestAddresses, Subnet } from "../zones-config.ts";
import { defineOptions } from "./option-definition.ts";
import type { Parsed } from "./option-parsers.ts";

/** The dataset, the link and the addresses of the zones backend on an illumos host. */
export const zonesOptions = defineOptions("Guests in zones (illumos):", {
  zonesPool: {
    placeholder: "DATASET",
    description:
      "the ZFS dataset above images, guests' disks and zones; created if it is missing, its parent must exist",
    defaultText: "rpool/solstice",
    parse: datasetName,
  },
  zonesLink: {
    placeholder: "LINK",
    description:
      "the etherstub, bridge or network card below guests' VNICs; an etherstub is created if the link is missing",
    defaultText: "solstice_stub0",
    parse: linkName,
  },
  zonesVnic: {
    placeholder: "LINK",
    description:
      "the host's interface on that link, whose address guests call; a VNIC with the gateway's address is created if it is missing",
    defaultText: "solstice0",
    parse: linkName,
  },
  zonesSubnet: {
    placeholder: "RANGE",
    description: "the IPv4 network of guests",
    defaultText: "10.88.0.0/24",
    parse: subnet,
  },
  zonesGateway: {
    placeholder: "ADDRESS",
    description: "the default router of guests, in that network",
    defaultText: null,
    defaultNote: "the first address of ZONES_SUBNET",
    parse: address,
  },
  zonesAddresses: {
    placeholder: "FIRST-LAST",
    description:
      "the addresses for guests, one for each guest that runs or is on hold, such as 10.88.0.10-10.88.0.99",
    defaultText: null,
    defaultNote: "the rest of ZONES_SUBNET",
    parse: addressRange,
  },
  zonesNameservers: {
    placeholder: "ADDRESS,...",
    description: "the guests' DNS servers, as IPv4 addresses that guests can reach",
    defaultText: null,
    defaultNote: "the servers in /etc/resolv.conf",
    parse: nameservers,
  },
});

/** Longest name of the dataset: the backend adds names below it, zfs(8) allows 255 characters, and paths of sockets fewer. */
const datasetMax = 100;
/** Longest name of a link: MAXLINKNAMELEN without its NUL. */
const linkMax = 31;

/**
 * A dataset below a pool, with the characters of zfs(8) except space and colon, which would break zone configurations and
 * lists. A pool alone is refused: it holds data of others, and the owner mark applies to a whole dataset.
 */
function datasetName(text: string): Parsed<string> {
  const expected = `a ZFS dataset below a pool, such as rpool/solstice (letters, digits, dashes, dots and underlines, at most ${datasetMax} characters)`;
  const [pool = "", ...rest] = text.split("/");
  const isPool = /^[A-Za-z][A-Za-z0-9_.-]*$/.test(pool);
  const areNames = rest.every((name) => /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name));
  return isPool && areNames && rest.length > 0 && text.length <= datasetMax ? { value: text } : { expected };
}

/** A link's name by the rules of dladm(8) and of IP: it ends in a number without leading zeros. */
function linkName(text: string): Parsed<string> {
  const isName = /^[A-Za-z](?:[A-Za-z0-9_.]*[A-Za-z_.])?(?:0|[1-9][0-9]{0,8})$/.test(text);
  if (isName && text.length <= linkMax) return { value: text };
  return {
    expected: `a link's name for dladm: a letter, then letters, digits, dots and underlines, and at the end a number without leading zeros, at most ${linkMax} characters, such as solstice0`,
  };
}

const [widestPrefix, narrowestPrefix] = [16, 30];

function subnet(text: string): Parsed<Subnet> {
  const range = parseRange(text);
  if (range && range.prefix >= widestPrefix && range.prefix <= narrowestPrefix && isUnicast(range.first)) {
    return { value: { address: rangeText({ ...range, prefix: 32 }), prefix: range.prefix } };
  }
  return {
    expected: `an IPv4 network of /${widestPrefix} to /${narrowestPrefix} without bits after its prefix, such as 10.88.0.0/24`,
  };
}

function address(text: string): Parsed<string> {
  return isAddress(text) ? { value: text } : { expected: "an IPv4 address, such as 10.88.0.1" };
}

function addressRange(text: string): Parsed<GuestAddresses> {
  const [first = "", last = "", ...more] = text.split("-").map((one) => one.trim());
  const isRange = isAddress(first) && isAddress(last) && more.length === 0;
  if (isRange && numberOf(first) <= numberOf(last)) return { value: { first, last } };
  return { expected: "two IPv4 addresses, the lower first, such as 10.88.0.10-10.88.0.99" };
}

/** Most name servers that a resolver reads: MAXNS of resolv.conf(5). */
const nameserversMax = 3;

function nameservers(text: string): Parsed<readonly string[]> {
  const addresses = text.split(",").map((one) => one.trim());
  if (addresses.length <= nameserversMax && addresses.every(isAddress))
    return { value: [...new Set(addresses)] };
  return {
    expected: `at most ${nameserversMax} IPv4 addresses joined by commas, without loopback addresses (which would be the guest itself), such as 9.9.9.9,1.1.1.1`,
  };
}

function isAddress(text: string): boolean {
  const range = parseRange(text);
  return range !== null && range.prefix === 32 && !text.includes("/") && isUnicast(range.first);
}

/** True for an address that a machine can have on a network: not "this network", loopback, link-local, multicast or reserved. */
function isUnicast(number: number): boolean {
  const [first, second] = [Math.floor(number / 2 ** 24), Math.floor(number / 2 ** 16) % 256];
  return first > 0 && first < 224 && first !== 127 && !(first === 169 && second === 254);
}

function numberOf(text: string): number {
  return parseRange(text)?.first ?? Number.NaN;
}
