import type { ZonesConfig } from "../../../config/zones-config.ts";
import { SolsticeError } from "../../../core/errors.ts";
import { ask, type CommandHost, succeed } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";
import { splitFields } from "../zone/zone-list.ts";

/**
 * Makes the guests' link, the host's interface on it and that interface's address, each where it is missing. They stay over a
 * restart of the host. A link that somebody made is used as it is; on one that is no etherstub the address must be there
 * already, since the gateway may be another machine. Throws `network_missing` with what to do.
 */
export async function prepareNetwork(host: CommandHost, settings: ZonesConfig): Promise<void> {
  const { link, vnic } = settings;
  if (!(await hasLink(host, link))) {
    await succeed(host, "dladm", ["create-etherstub", link]);
    host.log.info({ link }, "made the etherstub that guests are on");
  }
  if (!(await hasLink(host, vnic))) {
    await succeed(host, "dladm", ["create-vnic", "-l", link, vnic]);
    host.log.info({ vnic, link }, "made the host's interface on the guests' link");
  }
  if ((await hostAddress(host, vnic)) !== null) return;
  await requireEtherstub(host, settings);
  await makeAddress(host, settings);
}

/** The host's address that guests reach. Throws `network_missing` where there is none. */
export async function requireHostAddress(host: CommandHost, vnic: string): Promise<string> {
  const address = await hostAddress(host, vnic);
  if (address !== null) return address;
  throw new SolsticeError("network_missing", `The interface ${vnic} has no IPv4 address.`, {
    remedy: `Start the orchestrator, which makes it, or give it one: ipadm create-addr -T static -a ADDRESS/24 ${vnic}/v4`,
  });
}

async function hostAddress(host: CommandHost, vnic: string): Promise<string | null> {
  const text = await succeed(host, "ipadm", ["show-addr", "-p", "-o", "addrobj,addr"]);
  return addressOn(text, vnic);
}

/** The IPv4 address of an interface, of what `ipadm show-addr -p -o addrobj,addr` prints; null where it has none. */
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
  const result = await ask(host, "dladm", args);
  if (result.exitCode === 0) return true;
  if (isAbsent(result)) return false;
  throw toHostError({ program: "dladm", args, ...result });
}

async function requireEtherstub(
  host: CommandHost,
  { link, vnic, gateway, subnet }: ZonesConfig,
): Promise<void> {
  const stubs = await succeed(host, "dladm", ["show-etherstub", "-p", "-o", "link"]);
  if (stubs.split("\n").includes(link)) return;
  throw new SolsticeError(
    "network_missing",
    `${vnic} has no address, and ${link} is no etherstub: ${gateway} may be another machine's.`,
    {
      remedy: `Give the host an address of its own there: ipadm create-if ${vnic}; ipadm create-addr -T static -a ADDRESS/${subnet.prefix} ${vnic}/v4`,
    },
  );
}

async function makeAddress(host: CommandHost, { vnic, gateway, subnet }: ZonesConfig): Promise<void> {
  const interfaces = await succeed(host, "ipadm", ["show-if", "-p", "-o", "ifname"]);
  if (!interfaces.split("\n").includes(vnic)) await succeed(host, "ipadm", ["create-if", vnic]);
  await succeed(host, "ipadm", [
    "create-addr",
    "-T",
    "static",
    "-a",
    `${gateway}/${subnet.prefix}`,
    `${vnic}/v4`,
  ]);
  host.log.info({ vnic, address: gateway }, "gave the host an address on the guests' link");
}
