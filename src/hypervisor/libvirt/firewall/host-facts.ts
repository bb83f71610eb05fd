import { lookup } from "node:dns/promises";
import { readdir } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { SolsticeError } from "../../../core/errors.ts";
import type { LibvirtClient } from "../../../libvirt/index.ts";
import { sharedPrefix } from "../mac-addresses.ts";
import { type Binding, decideBindings, type Lease } from "./bindings.ts";
import { type NetworkFacts, parseNetworkFacts } from "./network-facts.ts";
import type { FirewallPlan } from "./ruleset.ts";
import { parseTapName, type TapName } from "./tap-names.ts";

const interfacesDirectory = "/sys/class/net";

/** The libvirt client and the name of a network. */
export interface GuestNetwork {
  readonly client: LibvirtClient;
  readonly network: string;
}

/** Reads the facts about the guests' network from libvirt. */
export async function networkFacts({ client, network }: GuestNetwork): Promise<NetworkFacts> {
  return parseNetworkFacts(await client.networkXml(await client.lookupNetwork(network)), network);
}

/** Lists the taps of our powered guests. */
export async function listTaps(ownerId: string): Promise<TapName[]> {
  const names = await readdir(interfacesDirectory);
  return names.flatMap((name) => parseTapName(ownerId, name) ?? []);
}

/** Returns which card may use which address now. */
export async function currentBindings(
  { client, network, ownerId }: GuestNetwork & { readonly ownerId: string },
  observed: { readonly taps: readonly TapName[]; readonly previous: readonly Binding[] },
): Promise<Binding[]> {
  const leases = await client.dhcpLeases(await client.lookupNetwork(network));
  const ours = sharedPrefix(ownerId);
  return decideBindings({
    leases: leases.flatMap(({ mac, address, expirySeconds }): Lease[] =>
      mac !== undefined && isIPv4(address)
        ? [{ macAddress: mac.toLowerCase(), address, expirySeconds: Number(expirySeconds) }]
        : [],
    ),
    isOurs: (macAddress) => macAddress.startsWith(ours),
    powered: new Set(observed.taps.map(({ macAddress }) => macAddress)),
    previous: observed.previous,
    now: Math.floor(Date.now() / 1000),
  });
}

/** Returns the address and port of the runner endpoint. Throws `config_invalid` for a name without an IPv4 address. */
export async function runnerOf(runnerUrl: string): Promise<FirewallPlan["runner"]> {
  const url = new URL(runnerUrl);
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  if (isIPv4(url.hostname)) return { address: url.hostname, port };
  try {
    return { address: (await lookup(url.hostname, { family: 4 })).address, port };
  } catch (cause) {
    throw new SolsticeError(
      "config_invalid",
      `RUNNER_URL: guests may call ${url.hostname} only when it has an IPv4 address, and none was found.`,
      {
        remedy: "Name the endpoint by its IPv4 address, or run guests without the firewall: FIREWALL=off.",
        cause,
      },
    );
  }
}
