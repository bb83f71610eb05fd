import { subnetText, type ZonesConfig } from "../../../config/zones-config.ts";
import { isWithin, parseRange } from "../../../core/image-map/cidr.ts";
import { type Check, type Finding, ok, warn } from "../check.ts";
import { datalinks, type Illumos, linesOf } from "./observe.ts";

/**
 * Whether guests get out, and what keeps them from the host: forwarding, NAT and filter are the operator's, so that all
 * of this only warns. Guests on a link to another network have that network's router.
 */
export async function wayOutChecks(host: Illumos, zones: ZonesConfig): Promise<Check[]> {
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
      run: async () => judgeNat(await linesOf(host, "ipnat", ["-l"]), zones, await wayOut(host)),
    },
    filter,
  ];
}

/** Whether this host forwards packets; by what `routeadm -p ipv4-forwarding` prints. */
export function judgeForwarding(lines: readonly string[] | null): Finding {
  if (lines?.some((line) => /\bcurrent=enabled\b/.test(line))) return ok("IPv4 forwarding is on.");
  const seen = lines ? "IPv4 forwarding is off" : "routeadm does not say whether IPv4 is forwarded";
  return warn(`${seen}: guests reach this host, and nothing beyond it.`, "routeadm -u -e ipv4-forwarding");
}

/** Whether guests' addresses are translated on their way out; by what `ipnat -l` prints. */
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

/** Whether anything is blocked that guests send; by what `ipfstat -i` prints. */
export function judgeFilter(lines: readonly string[] | null, { vnic, subnet }: ZonesConfig): Finding {
  const isOurs = (line: string) =>
    /^block\b.*\bin\b/.test(line) &&
    (line.includes(` on ${vnic} `) || line.includes(` from ${subnetText(subnet)} `));
  const rule = lines?.find(isOurs);
  if (rule !== undefined) return ok(`The filter blocks what guests may not reach: ${rule.trim()}`);
  return warn(
    `No rule of ipfilter blocks anything that comes in on ${vnic}: guests reach every port of this host and its networks.`,
    "edit deploy/illumos/ipf.conf for this host, append it to /etc/ipf/ipf.conf, then: svcadm enable network/ipfilter && ipf -Fa -f /etc/ipf/ipf.conf",
  );
}

/** The interface of the default route, by what `route -n get default` prints. */
async function wayOut(host: Illumos): Promise<string | null> {
  const lines = (await linesOf(host, "route", ["-n", "get", "default"])) ?? [];
  return (
    lines.map((line) => /^\s*interface:\s*(\S+)/.exec(line)?.[1]).find((name) => name !== undefined) ?? null
  );
}
