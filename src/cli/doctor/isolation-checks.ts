import { join } from "node:path";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { runCommand } from "../../host/command.ts";
import { readLockHolder } from "../../host/process-lock.ts";
import type { LibvirtClient } from "../../libvirt/index.ts";
import { isFirewallInPlace } from "../../orchestrator/upkeep/firewall-facts.ts";
import { type Check, type Finding, fail, ok, warn } from "./check.ts";
import { withClient } from "./libvirt-checks.ts";

/** What the checks of isolation depend on. */
export type IsolationTarget = Pick<
  OrchestratorConfig,
  "firewall" | "dataDir" | "libvirtUri" | "libvirtNetwork" | "runnerListen"
>;

/** Whether guests are kept from this host and from each other, and QEMU from the rest of the host. */
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
  if (await isFirewallInPlace(dataDir)) return ok("It is in place.");
  if (readLockHolder(join(dataDir, "orchestrator.lock")) === null) {
    return ok("nft works here; the orchestrator puts the firewall in place when it starts.");
  }
  return fail(
    "An orchestrator runs, and its guests' firewall is gone.",
    "Its log says why it does not come back.",
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
  if (firewall === "off") return ok("Not looked at, with FIREWALL=off.");
  const { stdout } = await runCommand("nft", ["-j", "list", "chains"], { deadlineSeconds: 10 });
  const objects: { chain?: BaseChain }[] = JSON.parse(stdout).nftables;
  return judgeHostFirewall(
    objects.flatMap(({ chain }) => chain ?? []),
    runnerListen?.port ?? 7411,
  );
}

/** Whether another firewall may drop what guests send to the runner endpoint: ours can only drop more, never less. */
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
  if (closed === undefined) return ok("Nothing else drops by default what comes to this host.");
  const isUfw = chains.some(({ name }) => name.startsWith("ufw-"));
  return warn(
    `This host drops by default what comes to it (chain ${closed.name} of ${closed.family} ${closed.table}): guests need TCP port ${port}.`,
    isUfw
      ? `ufw allow in on virbr0 to any port ${port} proto tcp   # virbr0: the guests' bridge`
      : `allow TCP port ${port} ${where} there`,
  );
}

async function checkLeases(client: LibvirtClient, name: string): Promise<Finding> {
  const xml = await client.networkXml(await client.lookupNetwork(name));
  if (xml.includes("dhcp-ignore-clid"))
    return ok("DHCP knows guests by their cards, which the firewall checks.");
  return warn(
    `DHCP on '${name}' knows guests by what they call themselves: one can disturb another by taking its name.`,
    `virsh net-edit ${name}   # add inside <network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>: ` +
      "<dnsmasq:options><dnsmasq:option value='dhcp-ignore-clid'/></dnsmasq:options>; it counts from the network's next start",
  );
}

/** What confines a QEMU that a guest has broken out into, by libvirt's capabilities. */
export function judgeConfinement(capabilities: string): Finding {
  const models = [...capabilities.matchAll(/<secmodel>\s*<model>(\w+)<\/model>/g)].map(([, model]) => model);
  if (/<baselabel type='(?:kvm|qemu)'>\+0:\+0</.test(capabilities)) {
    return warn(
      "QEMU runs as root: a guest that breaks out of it owns this host.",
      'set user = "libvirt-qemu" (Debian) in /etc/libvirt/qemu.conf and restart libvirtd',
    );
  }
  const confined = models.find((model) => model === "apparmor" || model === "selinux");
  if (confined) return ok(`QEMU runs as a user of its own, confined by ${confined}.`);
  return warn(
    `QEMU runs as a user of its own, without AppArmor or SELinux (libvirt has: ${models.join(", ") || "nothing"}).`,
    "enable AppArmor (Debian, Ubuntu) or SELinux, and restart libvirtd; see `security_driver` in /etc/libvirt/qemu.conf",
  );
}
