import {
  type AddressRange,
  distinctRanges,
  isWithin,
  parseRange,
  rangeText,
} from "../../../core/image-map/cidr.ts";
import { privateRanges } from "../../../core/image-map/egress.ts";
import type { Binding } from "./bindings.ts";

/** One policy of the image map, with the four characters of its code in taps' names. */
export interface EgressClass {
  readonly code: string;
  /** Same meaning as {@link Egress} of core. */
  readonly egress: "open" | "none" | readonly string[];
}

/** Complete input for the tables of one installation on one bridge. */
export interface FirewallPlan {
  /** Prefix of our guests' taps; also the name of the tables. */
  readonly prefix: string;
  readonly bridge: string;
  /** The host's address on the bridge, which serves DHCP and DNS. */
  readonly gateway: string;
  /** The guests' own network, such as `192.168.122.0/24`. */
  readonly subnet: string;
  /** Every tap that one of our guests may have, with the address of its card. */
  readonly cards: readonly { readonly tap: string; readonly macAddress: string }[];
  readonly bindings: readonly Binding[];
  readonly classes: readonly EgressClass[];
  /** Ranges within {@link privateRanges} that `open` guests may reach. */
  readonly lanAccess: readonly string[];
  /** TCP ports of the gateway address that guests may call, in addition to DNS. */
  readonly hostPorts: readonly number[];
  /** Address and port of the runner endpoint. */
  readonly runner: { readonly address: string; readonly port: number };
}

/**
 * Before all other tables, including connection tracking and address translation: dropped packets leave no trace there.
 */
const priority = -310;
/** After address translation, before libvirt's own rules. */
const forwardPriority = -10;

/** Returns the name of both tables of an installation. */
export function tableName(prefix: string): string {
  return `solstice_${prefix}`;
}

/** Returns a script that replaces both tables in one transaction, and nothing else. */
export function buildRuleset(plan: FirewallPlan): string {
  const name = tableName(plan.prefix);
  const replace = (family: string) => [`table ${family} ${name}`, `delete table ${family} ${name}`];
  return [
    ...replace("bridge"),
    `table bridge ${name} {`,
    ...bridgeTable(plan).map(indent),
    "}",
    ...replace("inet"),
    `table inet ${name} {`,
    ...hostTable(plan).map(indent),
    "}",
    "",
  ].join("\n");
}

/** Returns a script that removes both tables, also when they are missing. */
export function buildRemoval(prefix: string): string {
  const name = tableName(prefix);
  const remove = (family: string) => `table ${family} ${name}\ndelete table ${family} ${name}\n`;
  return remove("bridge") + remove("inet");
}

/**
 * Rules for traffic between a guest's card and the bridge: own addresses, IPv4, and the traffic that the policy allows.
 */
function bridgeTable(plan: FirewallPlan): string[] {
  const { prefix, gateway, runner, bindings } = plan;
  const cards = plan.cards.map(({ tap, macAddress }) => `"${tap}" . ${macAddress}`);
  const bound = bindings.map(({ macAddress, address }) => `${macAddress} . ${address}`);
  return [
    ...setOf("cards", "ifname . ether_addr", cards),
    ...setOf("bound", "ether_addr . ipv4_addr", bound),
    ...setOf("guests", "ipv4_addr", addressesOf(plan)),
    ...chain("from_guests", `type filter hook prerouting priority ${priority}; policy accept;`, [
      `iifname "${prefix}*" goto guest`,
    ]),
    ...chain("to_guests", `type filter hook postrouting priority ${priority}; policy accept;`, [
      `oifname "${prefix}*" goto delivery`,
    ]),
    ...chain("guest", "", [
      "iifname . ether saddr != @cards counter drop",
      "ether type arp goto resolution",
      "ether type != ip counter drop",
      "udp dport 67 goto lease",
      "ether saddr . ip saddr != @bound counter drop",
      `ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 accept`,
      `ip daddr ${runner.address} tcp dport ${runner.port} accept`,
      ...(plan.hostPorts.length > 0
        ? [`ip daddr ${gateway} tcp dport ${braces(plan.hostPorts)} accept`]
        : []),
      "ip daddr @guests counter drop",
      ...plan.classes.map(({ code }) => `iifname "${prefix}${code}*" goto egress_${code}`),
      "counter drop",
    ]),
    // A DHCP server identifies its client by the address in the message, at byte 28: it must be the card's own.
    ...chain("lease", "", [
      `ip daddr != { ${gateway}, 255.255.255.255 } counter drop`,
      ...distinctCards(plan).map(
        (address) => `udp sport 68 ether saddr ${address} @th,288,48 0x${address.replaceAll(":", "")} accept`,
      ),
      "counter drop",
    ]),
    ...chain("resolution", "", [
      "iifname . arp saddr ether != @cards counter drop",
      "arp saddr ip 0.0.0.0 accept",
      "arp saddr ether . arp saddr ip @bound accept",
      "counter drop",
    ]),
    // Traffic to one guest never reaches another guest, even if the host has learned wrong addresses.
    ...chain("delivery", "", [
      "ether type arp accept",
      "ether type != ip counter drop",
      "udp sport 67 udp dport 68 accept",
      "ether daddr . ip daddr != @bound counter drop",
    ]),
    ...plan.classes.flatMap((one) => chain(`egress_${one.code}`, "", egressRules(plan, one))),
  ];
}

function egressRules(plan: FirewallPlan, { egress }: EgressClass): string[] {
  if (egress === "none") return ["counter drop"];
  const subnet = rangeOf(plan.subnet);
  const allowed = (egress === "open" ? plan.lanAccess : egress).map(rangeOf);
  const [inside, outside] = [true, false].map((wanted) =>
    allowed.filter((range) => isWithin(range, subnet) === wanted),
  );
  const blocked = egress === "open" ? [...acceptRule(outside), dropRule(privateRanges), "accept"] : null;
  return [
    // A range larger than the guests' own network does not open that network.
    ...acceptRule(inside),
    `ip daddr ${plan.subnet} counter drop`,
    ...(blocked ?? [...acceptRule(outside), "counter drop"]),
  ];
}

/**
 * Rules that the bridge cannot apply: the host's own addresses (they change), and foreign address translation, such as
 * the published ports of containers. They trust the senders' addresses, which the bridge has checked.
 */
function hostTable(plan: FirewallPlan): string[] {
  const { bridge, gateway, runner } = plan;
  const fromGuest = `iifname "${bridge}" ip saddr @guests`;
  const subnet = rangeOf(plan.subnet);
  const allowed = plan.classes
    .flatMap(({ egress }) => (typeof egress === "string" ? plan.lanAccess : egress))
    .map(rangeOf);
  return [
    ...setOf("guests", "ipv4_addr", addressesOf(plan)),
    ...chain("to_host", `type filter hook prerouting priority ${priority}; policy accept;`, [
      `${fromGuest} fib daddr type { local, broadcast, anycast, multicast } goto host`,
    ]),
    ...chain("host", "", [
      `ip daddr { ${gateway}, 255.255.255.255 } udp dport 67 accept`,
      `ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 accept`,
      `ip daddr ${runner.address} tcp dport ${runner.port} accept`,
      ...(plan.hostPorts.length > 0
        ? [`ip daddr ${gateway} tcp dport ${braces(plan.hostPorts)} accept`]
        : []),
      "counter drop",
    ]),
    ...chain("through_host", `type filter hook forward priority ${forwardPriority}; policy accept;`, [
      `${fromGuest} goto forwarded`,
    ]),
    ...chain("forwarded", "", [
      ...acceptRule(allowed.filter((range) => isWithin(range, subnet))),
      `ip daddr ${plan.subnet} counter drop`,
      `ip daddr ${runner.address} tcp dport ${runner.port} accept`,
      ...acceptRule(allowed.filter((range) => !isWithin(range, subnet))),
      dropRule(privateRanges),
    ]),
  ];
}

function addressesOf({ bindings }: FirewallPlan): string[] {
  return bindings.map(({ address }) => address);
}

function distinctCards({ cards }: FirewallPlan): string[] {
  return [...new Set(cards.map(({ macAddress }) => macAddress))];
}

function setOf(name: string, type: string, elements: readonly string[]): string[] {
  const filled = elements.length > 0 ? [`  elements = ${braces(elements)}`] : [];
  return [`set ${name} {`, `  type ${type}`, ...filled, "}"];
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  return [`chain ${name} {`, ...[...(hook ? [hook] : []), ...rules].map(indent), "}"];
}

function acceptRule(ranges: readonly AddressRange[] = []): string[] {
  return ranges.length > 0 ? [`ip daddr ${braces(distinctRanges(ranges).map(rangeText))} accept`] : [];
}

function dropRule(ranges: readonly string[]): string {
  return `ip daddr ${braces(ranges)} counter drop`;
}

function rangeOf(text: string): AddressRange {
  const range = parseRange(text);
  if (range === null) throw new TypeError(`${text} is not a range of addresses`);
  return range;
}

function braces(elements: readonly (string | number)[]): string {
  return `{ ${elements.join(", ")} }`;
}

function indent(line: string): string {
  return `  ${line}`;
}
