import { errorText, SolsticeError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { LibvirtClient, Network } from "../../libvirt/index.ts";
import { isLibvirtError, LibvirtErrorCode } from "../../libvirt/index.ts";
import { parseXml } from "./xml.ts";

const DEFAULT_NETWORK_FILE = "/usr/share/libvirt/networks/default.xml";

/** Activates the network, now and whenever libvirtd starts. Throws `network_missing` with the remedy. */
export async function prepareNetwork(client: LibvirtClient, name: string, log: Log): Promise<void> {
  const network = await findNetwork(client, name);
  if (!(await client.networkActive(network))) {
    await startNetwork(client, network);
    log.info({ network: name }, "started the libvirt network");
  }
  if (!(await client.networkAutostart(network))) await client.setNetworkAutostart(network, true);
}

/** Returns the host's own IPv4 address on the network. */
export async function networkGateway(client: LibvirtClient, name: string): Promise<string> {
  const gateway = parseGateway(await client.networkXml(await findNetwork(client, name)));
  if (gateway !== null) return gateway;
  throw new SolsticeError(
    "network_missing",
    `The libvirt network '${name}' gives the host no IPv4 address.`,
    {
      remedy:
        "Use a NAT or routed network, or set RUNNER_LISTEN and RUNNER_URL to an address that guests reach.",
    },
  );
}

/** Returns the first IPv4 address in a network's XML, or null. */
export function parseGateway(xml: string): string | null {
  const addresses: unknown = parseXml(xml).network?.ip;
  if (!Array.isArray(addresses)) return null;
  const ipv4 = addresses.find((ip) => ip?.family === undefined || ip.family === "ipv4");
  return typeof ipv4?.address === "string" ? ipv4.address : null;
}

async function findNetwork(client: LibvirtClient, name: string): Promise<Network> {
  try {
    return await client.lookupNetwork(name);
  } catch (error) {
    if (!isLibvirtError(error, LibvirtErrorCode.NO_NETWORK)) throw error;
    const remedy =
      name === "default"
        ? `Define it: virsh net-define ${DEFAULT_NETWORK_FILE}`
        : "Define it with `virsh net-define FILE`, or set LIBVIRT_NETWORK to one of `virsh net-list --all`.";
    throw new SolsticeError("network_missing", `libvirt has no network '${name}'.`, { remedy, cause: error });
  }
}

async function startNetwork(client: LibvirtClient, network: Network): Promise<void> {
  try {
    await client.startNetwork(network);
  } catch (error) {
    // Another process may have started the network first.
    if (await client.networkActive(network)) return;
    throw new SolsticeError(
      "network_missing",
      `The libvirt network '${network.name}' cannot start: ${errorText(error)}.`,
      {
        remedy:
          "Is dnsmasq installed, and are the network's bridge name and addresses free? See `ip address`.",
        cause: error,
      },
    );
  }
}
