import {
  type AddressRange,
  distinctRanges,
  isWithin,
  parseRange,
  rangeText,
} from "../../../core/image-map/cidr.ts";
import { privateRanges } from "../../../core/image-map/egress.ts";
import type { Binding } from "./bindings.ts";

/** One policy of the image map, with the four characters that taps name it by. */
export interface EgressClass {
  readonly code: string;
  /** As {@link Egress} of core. */
  readonly egress: "open" | "none" | readonly string[];
}

/** All that the tables of one installation on one bridge are made from. */
export interface FirewallPlan {
  /** What the taps of our guests begin with; it also names the tables. */
  readonly prefix: string;
  readonly bridge: string;
  /** The host's address on the bridge, which answers DHCP and DNS. */
  readonly gateway: string;
  /** The guests' own network, such as `192.168.122.0/24`. */
  readonly subnet: string;
  /** Every tap that a guest of ours may have, with the address of its card. */
  readonly cards: readonly { readonly tap: string; readonly macAddress: string }[];
  readonly bindings: readonly Binding[];
  readonly classes: readonly EgressClass[];
  /** What `open` guests may reach of {@link privateRanges}. */
  readonly lanAccess: readonly string[];
  /** TCP ports of the gateway address that guests may call, beside DNS. */
  readonly hostPorts: readonly number[];
  /** Where runners call. */
  readonly runner: { readonly address: string; readonly port: number };
}

/** Before everything of other tables, connection tracking and address translation included: what we drop never was. */
const priority = -310;
/** Behind address translation, before libvirt's own rules. */
const forwardPriority = -10;

/** The name of both tables of an installation. */
export function tableName(prefix: string): string {
  return `solstice_${prefix}`;
}

/** Replaces both tables in one transaction; whatever else is in the kernel stays as it is. */
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

/** Removes both tables, also where there are none. */
export function buildRemoval(prefix: string): string {
  const name = tableName(prefix);
  const remove = (family: string) => `table ${family} ${name}\ndelete table ${family} ${name}\n`;
  return remove("bridge") + remove("inet");
}

/** What a guest may send at all, seen where its card meets the bridge: its own addresses, IPv4, and what its policy allows. */
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
    // A DHCP server knows its client by what stands in the message, at byte 28: it must be the card's own address.
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
    // What is meant for one guest never reaches another, whatever the host was made to believe of addresses.
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
    // A range that holds more than the guests' own network was not written for that network.
    ...acceptRule(inside),
    `ip daddr ${plan.subnet} counter drop`,
    ...(blocked ?? [...acceptRule(outside), "counter drop"]),
  ];
}

/**
 * What the bridge cannot know: which addresses are the host's own (they change), and where address translation of others,
 * such as the published ports of containers, leads to. It believes the senders' addresses, because the bridge checked them.
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
  if (range === null) throw new TypeError(`${text} is no range of addresses`);
  return range;
}

function braces(elements: readonly (string | number)[]): string {
  return `{ ${elements.join(", ")} }`;
}

function indent(line: string): string {
  return `  ${line}`;
}
