import { join } from "node:path";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { runCommand } from "../../host/command.ts";
import { readLockHolder } from "../../host/process-lock.ts";
import type { LibvirtClient } from "../../libvirt/index.ts";
import { isFirewallInPlace } from "../../orchestrator/upkeep/firewall-facts.ts";
import { type Check, type Finding, fail, ok, warn } from "./check.ts";
import { withClient } from "./libvirt-checks.ts";

/** The settings that the checks of isolation need. */
export type IsolationTarget = Pick<
  OrchestratorConfig,
  "firewall" | "dataDir" | "libvirtUri" | "libvirtNetwork" | "runnerListen"
>;

/** Checks that guests are isolated from this host and from each other, and QEMU from the rest of the host. */
export function isolationChecks(target: IsolationTarget): Check[] {
  const { libvirtUri: uri, libvirtNetwork: network } = target;
  return [
    { name: "guests' firewall", run: () => checkFirewall(target) },
    { name: "host's own firewall", run: () => checkHostFirewall(target) },
    { name: "guests' leases", run: () => withClient(uri, (client) => checkLeases(client, network)) },
    {
      name: "QEMU's confinement",
      run: () => withClient(uri, async (client) => judgeConfinement(await client.capabilities())),
    },
  ];
}

async function checkFirewall({ firewall, dataDir }: IsolationTarget): Promise<Finding> {
  if (firewall === "off") {
    return warn(
      "FIREWALL=off: guests can reach every port of this host and its networks.",
      "unset FIREWALL, for jobs that you did not write yourself",
    );
  }
  if (await isFirewallInPlace(dataDir)) return ok("The firewall is installed.");
  if (readLockHolder(join(dataDir, "orchestrator.lock")) === null) {
    return ok("nft works here; the orchestrator installs the firewall at its start.");
  }
  return fail(
    "An orchestrator runs, but its guests' firewall is missing.",
    "See the orchestrator's log for the reason why the repair fails.",
  );
}

/** A base chain, as `nft -j list chains` shows it. */
interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

async function checkHostFirewall({ firewall, runnerListen }: IsolationTarget): Promise<Finding> {
  if (firewall === "off") return ok("Not checked, because FIREWALL=off.");
  const { stdout } = await runCommand("nft", ["-j", "list", "chains"], { deadlineSeconds: 10 });
  const objects: { chain?: BaseChain }[] = JSON.parse(stdout).nftables;
  return judgeHostFirewall(
    objects.flatMap(({ chain }) => chain ?? []),
    runnerListen?.port ?? 7411,
  );
}

/** Checks whether another firewall may drop the guests' packets to the runner endpoint. Our firewall cannot accept what another drops. */
export function judgeHostFirewall(chains: readonly BaseChain[], port: number): Finding {
  const where = "in on BRIDGE (virbr0 for the network 'default')";
  if (chains.some(({ table }) => table === "firewalld")) {
    return warn(
      `firewalld lets only what its zone 'libvirt' lists reach this host: guests need TCP port ${port}.`,
      `firewall-cmd --permanent --zone=libvirt --add-port=${port}/tcp && firewall-cmd --reload`,
    );
  }
  const closed = chains.find(
    ({ hook, policy, family }) => hook === "input" && policy === "drop" && family !== "ip6",
  );
  if (closed === undefined) return ok("No other firewall drops incoming packets by default.");
  const isUfw = chains.some(({ name }) => name.startsWith("ufw-"));
  return warn(
    `This host drops incoming packets by default (chain ${closed.name} of ${closed.family} ${closed.table}): guests need TCP port ${port}.`,
    isUfw
      ? `ufw allow in on virbr0 to any port ${port} proto tcp   # virbr0: the guests' bridge`
      : `allow TCP port ${port} ${where} there`,
  );
}

async function checkLeases(client: LibvirtClient, name: string): Promise<Finding> {
  const xml = await client.networkXml(await client.lookupNetwork(name));
  if (xml.includes("dhcp-ignore-clid"))
    return ok("DHCP identifies guests by their hardware addresses, which the firewall checks.");
  return warn(
    `DHCP on '${name}' identifies guests by a name that they choose: a guest can take the name, and so the address, of another.`,
    `virsh net-edit ${name}   # add inside <network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>: ` +
      "<dnsmasq:options><dnsmasq:option value='dhcp-ignore-clid'/></dnsmasq:options>; it takes effect at the network's next start",
  );
}

/** The finding about QEMU's confinement, from libvirt's capabilities: it limits a guest that has escaped into QEMU. */
export function judgeConfinement(capabilities: string): Finding {
  const models = [...capabilities.matchAll(/<secmodel>\s*<model>(\w+)<\/model>/g)].map(([, model]) => model);
  if (/<baselabel type='(?:kvm|qemu)'>\+0:\+0</.test(capabilities)) {
    return warn(
      "QEMU runs as root: a guest that escapes from it controls this host.",
      'set user = "libvirt-qemu" (Debian) in /etc/libvirt/qemu.conf and restart libvirtd',
    );
  }
  const confined = models.find((model) => model === "apparmor" || model === "selinux");
  if (confined) return ok(`QEMU runs as its own user, confined by ${confined}.`);
  return warn(
    `QEMU runs as its own user, without AppArmor or SELinux (libvirt has: ${models.join(", ") || "nothing"}).`,
    "enable AppArmor (Debian, Ubuntu) or SELinux, and restart libvirtd; see `security_driver` in /etc/libvirt/qemu.conf",
  );
}
