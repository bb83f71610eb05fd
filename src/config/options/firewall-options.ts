import { parseRange } from "../../core/image-map/cidr.ts";
import { egressRangesMax, normaliseRanges, rangeRule } from "../../core/image-map/egress.ts";
import { defineOptions } from "./option-definition.ts";
import { oneOf, type Parsed } from "./option-parsers.ts";

const portsMax = 32;

/** The guests' access to the host and its networks. */
export const firewallOptions = defineOptions("Isolation of guests (libvirt):", {
  firewall: {
    placeholder: "SWITCH",
    description:
      "on: guests reach only the runner endpoint, DHCP, DNS and the internet, not this host or its networks; off: no isolation",
    defaultText: "on",
    parse: oneOf("on", "off"),
  },
  guestLanAccess: {
    placeholder: "RANGE,...",
    description: "private IPv4 ranges that guests may also reach, such as 10.1.2.0/24,192.168.7.9",
    defaultText: null,
    defaultNote: "none",
    parse: ranges,
  },
  guestHostPorts: {
    placeholder: "PORT,...",
    description:
      "TCP ports of this host, at its address on the guests' network, that guests may also reach, such as a git server's",
    defaultText: null,
    defaultNote: "none",
    parse: ports,
  },
});

function ranges(text: string): Parsed<readonly string[]> {
  const texts = text.split(",").map((one) => one.trim());
  if (texts.length <= egressRangesMax && texts.every((one) => parseRange(one) !== null)) {
    return { value: normaliseRanges(texts) };
  }
  return { expected: `at most ${egressRangesMax} entries joined by commas, each ${rangeRule}` };
}

function ports(text: string): Parsed<readonly number[]> {
  const texts = text.split(",").map((one) => one.trim());
  const numbers = texts.map((one) => (/^\d{1,5}$/.test(one) ? Number(one) : 0));
  if (texts.length <= portsMax && numbers.every((port) => port >= 1 && port <= 65_535)) {
    return { value: [...new Set(numbers)].sort((a, b) => a - b) };
  }
  return { expected: `at most ${portsMax} port numbers joined by commas, such as 8080,9418` };
}
