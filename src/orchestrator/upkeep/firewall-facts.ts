import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { listTables } from "../../hypervisor/libvirt/firewall/nft.ts";
import { tapPrefix } from "../../hypervisor/libvirt/firewall/tap-names.ts";
import { hostIdFileName } from "../identity.ts";

/**
 * True when the kernel has the firewall of this data directory's orchestrator; of any owner when no
 * orchestrator ran there, which still proves that nft is installed and permitted. Throws as the orchestrator
 * would at its start.
 */
export async function isFirewallInPlace(dataDir: string): Promise<boolean> {
  const idFile = join(dataDir, hostIdFileName);
  const owner = existsSync(idFile) ? readFileSync(idFile, "utf8").trim() : "none yet";
  return (await listTables(tapPrefix(owner))) !== "";
}
