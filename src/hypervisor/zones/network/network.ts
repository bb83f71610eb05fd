import type { ZonesConfig } from "../../../config/zones-config.ts";
import { SolsticeError } from "../../../core/errors.ts";
import { type CommandHost, execute, executeOrThrow } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";
import { splitFields } from "../zone/zone-list.ts";

/**
 * Creates the guests' link, the host's interface on it and that interface's address, each if it is missing. They
 * survive a restart of the host. An existing link is used unchanged; on a link that is not an etherstub the address
 * must already exist, because the gateway may be another machine. Throws `network_missing` with the remedy.
 */
export async function prepareNetwork(host: CommandHost, settings: ZonesConfig): Promise<void> {
  const { link, vnic } = settings;
  if (!(await hasLink(host, link))) {
    await executeOrThrow(host, "dladm", ["create-etherstub", link]);
    host.log.info({ link }, "created the guests' etherstub");
  }
  if (!(await hasLink(host, vnic))) {
    await executeOrThrow(host, "dladm", ["create-vnic", "-l", link, vnic]);
    host.log.info({ vnic, link }, "created the host's interface on the guests' link");
  }
  if ((await hostAddress(host, vnic)) !== null) return;
  await requireEtherstub(host, settings);
  await makeAddress(host, settings);
}

/** Returns the host's address that guests reach. Throws `network_missing` without an IPv4 address. */
export async function requireHostAddress(host: CommandHost, vnic: string): Promise<string> {
  const address = await hostAddress(host, vnic);
  if (address !== null) return address;
  throw new SolsticeError("network_missing", `The interface ${vnic} has no IPv4 address.`, {
    remedy: `Start the orchestrator, which adds the address, or add it: ipadm create-addr -T static -a ADDRESS/24 ${vnic}/v4`,
  });
}

async function hostAddress(host: CommandHost, vnic: string): Promise<string | null> {
  const text = await executeOrThrow(host, "ipadm", ["show-addr", "-p", "-o", "addrobj,addr"]);
  return addressOn(text, vnic);
}

/** Parses the IPv4 address of an interface from `ipadm show-addr -p -o addrobj,addr`; null without one. */
export function addressOn(text: string, vnic: string): string | null {
  for (const line of text.split("\n")) {
    const [object = "", address = ""] = splitFields(line);
    const [ipv4] = /^\d{1,3}(\.\d{1,3}){3}/.exec(address) ?? [];
    if (object.startsWith(`${vnic}/`) && ipv4 !== undefined && ipv4 !== "0.0.0.0") return ipv4;
  }
  return null;
}

async function hasLink(host: CommandHost, link: string): Promise<boolean> {
  const args = ["show-link", "-p", "-o", "link", link];
  const result = await execute(host, "dladm", args);
  if (result.exitCode === 0) return true;
  if (isAbsent(result)) return false;
  throw toHostError({ program: "dladm", args, ...result });
}

async function requireEtherstub(
  host: CommandHost,
  { link, vnic, gateway, subnet }: ZonesConfig,
): Promise<void> {
  const stubs = await executeOrThrow(host, "dladm", ["show-etherstub", "-p", "-o", "link"]);
  if (stubs.split("\n").includes(link)) return;
  throw new SolsticeError(
    "network_missing",
    `${vnic} has no address, and ${link} is not an etherstub: ${gateway} may be another machine's address.`,
    {
      remedy: `Give the host an address of its own there: ipadm create-if ${vnic}; ipadm create-addr -T static -a ADDRESS/${subnet.prefix} ${vnic}/v4`,
    },
  );
}

async function makeAddress(host: CommandHost, { vnic, gateway, subnet }: ZonesConfig): Promise<void> {
  const interfaces = await executeOrThrow(host, "ipadm", ["show-if", "-p", "-o", "ifname"]);
  if (!interfaces.split("\n").includes(vnic)) await executeOrThrow(host, "ipadm", ["create-if", vnic]);
  await executeOrThrow(host, "ipadm", [
    "create-addr",
    "-T",
    "static",
    "-a",
    `${gateway}/${subnet.prefix}`,
    `${vnic}/v4`,
  ]);
  host.log.info({ vnic, address: gateway }, "gave the host an address on the guests' link");
}
