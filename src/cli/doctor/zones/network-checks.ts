import type { OrchestratorConfig } from "../../../config/orchestrator-config.ts";
import { addressCount, subnetText, type ZonesConfig } from "../../../config/zones-config.ts";
import { isWithin, parseRange, rangeAround } from "../../../core/image-map/cidr.ts";
import { type Check, type Finding, fail, ok } from "../check.ts";
import { type Datalink, datalinks, type HostAddress, hostAddresses, type Illumos } from "./observe.ts";

type NetworkTarget = Pick<OrchestratorConfig, "zones" | "maxConcurrency" | "maxHolds">;

/** Checks that guests can have VNICs and addresses, and reach the host. */
export function networkChecks(host: Illumos, target: NetworkTarget): Check[] {
  const { zones } = target;
  return [
    { name: "link", run: async () => judgeLink(zones.link, await datalinks(host)) },
    { name: "host's interface", run: async () => judgeVnic(zones, await datalinks(host)) },
    { name: "host's address", run: async () => judgeAddress(zones, await hostAddresses(host)) },
    { name: "guests' addresses", run: async () => judgePool(target) },
  ];
}

/** Checks that VNICs can be created over the link. */
export function judgeLink(name: string, links: readonly Datalink[] | null): Finding {
  if (!links) return fail("dladm does not list the links.", "dladm show-link");
  const link = links.find((one) => one.name === name);
  if (!link) return ok(`The orchestrator creates an etherstub ${name} at its start.`);
  if (link.kind === "vnic") {
    return fail(
      `${name} is a VNIC: no other VNIC can be created over it.`,
      `set ZONES_LINK to ${link.over || "the link below it"}, or to a new etherstub's name`,
    );
  }
  return ok(`${name} exists (${link.kind}).`);
}

/** Checks that the host's interface is on the guests' link. */
export function judgeVnic({ link, vnic }: ZonesConfig, links: readonly Datalink[] | null): Finding {
  const found = links?.find((one) => one.name === vnic);
  if (!found) return ok(`The orchestrator creates a VNIC ${vnic} over ${link} at its start.`);
  if (found.kind !== "vnic" || found.over === link) return ok(`${vnic} exists (${found.kind}).`);
  return fail(
    `${vnic} is over ${found.over}, but guests are on ${link}: host and guests cannot reach each other.`,
    `set ZONES_LINK to ${found.over}, or ZONES_VNIC to another name`,
  );
}

/** Checks that the host's address is in the guests' network, outside of the guests' range, and in no other network of the host. */
export function judgeAddress(zones: ZonesConfig, addresses: readonly HostAddress[] | null): Finding {
  if (!addresses) return fail("ipadm does not list the addresses.", "ipadm show-addr");
  const foreign = addresses.find((one) => one.interface !== zones.vnic && overlaps(one, zones));
  if (foreign) {
    return fail(
      `${foreign.interface} has ${foreign.address}/${foreign.prefix}, in the guests' network ${subnetText(zones.subnet)}.`,
      `set ZONES_SUBNET to a network that this host does not use, or ZONES_VNIC to ${foreign.interface} if guests are on its network`,
    );
  }
  const own = addresses.filter((one) => one.interface === zones.vnic);
  if (own.length === 0)
    return ok(`The orchestrator gives ${zones.vnic} the address ${zones.gateway} at its start.`);
  const fitting = own.find((one) => overlaps(one, zones));
  if (!fitting) {
    return fail(
      `${zones.vnic} has no address in ${subnetText(zones.subnet)}.`,
      `ipadm create-addr -T static -a ${zones.gateway}/${zones.subnet.prefix} ${zones.vnic}/v4`,
    );
  }
  if (isGiven(fitting.address, zones)) {
    return fail(
      `${fitting.address} is the host's address on ${zones.vnic}, and also in the range for guests.`,
      `set ZONES_ADDRESSES to a range without it`,
    );
  }
  return ok(`${zones.vnic} has ${fitting.address}.`);
}

/** Checks that there are as many addresses as guests. */
export function judgePool({ zones, maxConcurrency, maxHolds }: NetworkTarget): Finding {
  const [count, guests] = [addressCount(zones.addresses), maxConcurrency + maxHolds];
  const range = `${zones.addresses.first}-${zones.addresses.last}`;
  if (count >= guests) return ok(`${range}: ${count} addresses for at most ${guests} guests.`);
  return fail(
    `${range} has ${count} addresses, but ${guests} guests may run or be on hold.`,
    "set ZONES_ADDRESSES to more of them, or MAX_CONCURRENCY or MAX_HOLDS to less",
  );
}

function overlaps({ address, prefix }: HostAddress, { subnet }: ZonesConfig): boolean {
  const [theirs, ours] = [rangeAround(address, prefix), rangeAround(subnet.address, subnet.prefix)];
  return theirs !== null && ours !== null && (isWithin(theirs, ours) || isWithin(ours, theirs));
}

function isGiven(address: string, { addresses }: ZonesConfig): boolean {
  const [one, first, last] = [address, addresses.first, addresses.last].map(
    (text) => parseRange(text)?.first ?? 0,
  );
  return one !== undefined && first !== undefined && last !== undefined && first <= one && one <= last;
}
