import { parse } from "yaml";
import { z } from "zod";
import { SolsticeError } from "../../core/errors.ts";

/** The one network card of a guest with a static address. */
export interface StaticNetwork {
  readonly macAddress: string;
  readonly address: string;
  /** Of the subnet, in bits. */
  readonly prefix: number;
  readonly gateway: string;
  readonly nameservers: readonly string[];
}

const ipv4 = z.ipv4();

/** As the backends write it: one card, known by its hardware address. */
const version2 = z.object({
  version: z.literal(2),
  ethernets: z.record(
    z.string(),
    z.object({
      match: z.object({ macaddress: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/) }),
      addresses: z.tuple([z.cidrv4()]),
      gateway4: ipv4,
      nameservers: z.object({ addresses: z.array(ipv4).default([]) }).default({ addresses: [] }),
    }),
  ),
});

/** Reads a NoCloud network-config of version 2 with one card. Throws `config_invalid` for anything else. */
export function parseNetworkConfig(text: string): StaticNetwork {
  const parsed = version2.safeParse(parse(text));
  const cards = parsed.success ? Object.values(parsed.data.ethernets) : [];
  const [card] = cards;
  if (card === undefined || cards.length !== 1) {
    throw new SolsticeError(
      "config_invalid",
      "This network-config cannot be written for a guest of this seed.",
      {
        cause: parsed.error,
      },
    );
  }
  const [address = "", prefix] = card.addresses[0].split("/");
  return {
    macAddress: card.match.macaddress,
    address,
    prefix: Number(prefix),
    gateway: card.gateway4,
    nameservers: card.nameservers.addresses,
  };
}

/**
 * As network-config of version 1, which cloud-init reads as well, and the only one that illumos/metadata-agent knows
 * (src/provider/nocloud.rs; it refuses keys that it does not know).
 */
export function networkConfigVersion1({
  macAddress,
  address,
  prefix,
  gateway,
  nameservers,
}: StaticNetwork): string {
  return `version: 1
config:
  - type: physical
    name: net0
    mac_address: "${macAddress}"
    subnets:
      - type: static
        address: ${address}/${prefix}
        gateway: ${gateway}
        dns_nameservers: [${nameservers.join(", ")}]
`;
}

/**
 * Shell commands that give an illumos guest its address (dladm(8), ipadm(8), route(8)). An archive can tell metadata-agent only to
 * leave the network alone, so its script does the work; nothing here minds being done twice. A guest without dladm is none of
 * illumos, and sees to its network by itself.
 */
export function illumosNetworkScript({
  macAddress,
  address,
  prefix,
  gateway,
  nameservers,
}: StaticNetwork): string {
  return `if command -v dladm >/dev/null 2>&1; then
# The card's address is written without leading zeros there.
card=$(dladm show-phys -m -p -o link,address | tr -d '\\\\' |
  awk -F : '{
    found = ""
    for (at = 2; at <= 7; at++) found = found (at > 2 ? ":" : "") (length($at) < 2 ? "0" : "") $at
    if (found == "${macAddress}") { print $1; exit }
  }')
[ -n "$card" ] || fail "no network card has the address ${macAddress}"
ipadm show-if "$card" >/dev/null 2>&1 || ipadm create-if "$card" || fail "no interface on $card"
ipadm show-addr "$card/v4" >/dev/null 2>&1 || ipadm create-addr -T static -a ${address}/${prefix} "$card/v4" ||
  fail "$card does not take the address ${address}"
route -n get default 2>/dev/null | grep -q '${gateway.replaceAll(".", "\\.")}$' || route add default ${gateway} ||
  fail "no route by ${gateway}"
printf '%s\\n' ${nameservers.map((server) => `'nameserver ${server}'`).join(" ") || "''"} >/etc/resolv.conf
fi
`;
}
