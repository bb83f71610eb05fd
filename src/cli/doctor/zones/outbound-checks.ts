import { subnetText, type ZonesConfig } from "../../../config/zones-config.ts";
import { isWithin, parseRange } from "../../../core/image-map/cidr.ts";
import { type Check, type Finding, ok, warn } from "../check.ts";
import { datalinks, type Illumos, linesOf } from "./observe.ts";

/**
 * Checks that guests reach other networks and are kept from the host. The operator configures forwarding, NAT and filter, so
 * these checks only warn. Guests on a link to another network use that network's router.
 */
export async function outboundChecks(host: Illumos, zones: ZonesConfig): Promise<Check[]> {
  const link = (await datalinks(host))?.find((one) => one.name === zones.link);
  const isOwnNetwork = link === undefined || link.kind === "etherstub";
  const filter = {
    name: "filter",
    run: async () => judgeFilter(await linesOf(host, "ipfstat", ["-i"]), zones),
  };
  if (!isOwnNetwork) return [filter];
  return [
    {
      name: "forwarding",
      run: async () => judgeForwarding(await linesOf(host, "routeadm", ["-p", "ipv4-forwarding"])),
    },
    {
      name: "NAT",
      run: async () => judgeNat(await linesOf(host, "ipnat", ["-l"]), zones, await outboundInterface(host)),
    },
    filter,
  ];
}

/** Checks that this host forwards packets, from the output of `routeadm -p ipv4-forwarding`. */
export function judgeForwarding(lines: readonly string[] | null): Finding {
  if (lines?.some((line) => /\bcurrent=enabled\b/.test(line))) return ok("IPv4 forwarding is on.");
  const seen = lines ? "IPv4 forwarding is off" : "routeadm does not report the state of IPv4 forwarding";
  return warn(`${seen}: guests reach only this host.`, "routeadm -u -e ipv4-forwarding");
}

/** Checks that outgoing packets of guests are translated (NAT), from the output of `ipnat -l`. */
export function judgeNat(
  lines: readonly string[] | null,
  zones: ZonesConfig,
  interfaceOut: string | null,
): Finding {
  const subnet = parseRange(subnetText(zones.subnet));
  const covers = (text: string) => {
    const range = parseRange(text);
    return subnet !== null && range !== null && isWithin(subnet, range);
  };
  const rule = lines?.find((line) => covers(/^map\s+\S+\s+(\S+)\s+->/.exec(line)?.[1] ?? ""));
  if (rule !== undefined) return ok(rule);
  const out = interfaceOut ?? "INTERFACE";
  return warn(
    `No rule translates the addresses of ${subnetText(zones.subnet)}: guests get no answers from the internet.`,
    `echo 'map ${out} ${subnetText(zones.subnet)} -> 0/32 portmap tcp/udp auto' >> /etc/ipf/ipnat.conf && ` +
      `echo 'map ${out} ${subnetText(zones.subnet)} -> 0/32' >> /etc/ipf/ipnat.conf && ` +
      "svcadm enable network/ipfilter && ipnat -CF -f /etc/ipf/ipnat.conf",
  );
}

/** Checks that a rule blocks packets from guests, from the output of `ipfstat -i`. */
export function judgeFilter(lines: readonly string[] | null, { vnic, subnet }: ZonesConfig): Finding {
  const isOurs = (line: string) =>
    /^block\b.*\bin\b/.test(line) &&
    (line.includes(` on ${vnic} `) || line.includes(` from ${subnetText(subnet)} `));
  const rule = lines?.find(isOurs);
  if (rule !== undefined) return ok(`The filter blocks packets from guests: ${rule.trim()}`);
  return warn(
    `No rule of ipfilter blocks packets on ${vnic}: guests reach every port of this host and its networks.`,
    "edit deploy/illumos/ipf.conf for this host, append it to /etc/ipf/ipf.conf, then: svcadm enable network/ipfilter && ipf -Fa -f /etc/ipf/ipf.conf",
  );
}

/** The interface of the default route, from the output of `route -n get default`. */
async function outboundInterface(host: Illumos): Promise<string | null> {
  const lines = (await linesOf(host, "route", ["-n", "get", "default"])) ?? [];
  return (
    lines.map((line) => /^\s*interface:\s*(\S+)/.exec(line)?.[1]).find((name) => name !== undefined) ?? null
  );
}
