import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { listTables } from "../../hypervisor/libvirt/firewall/nft.ts";
import { tapPrefix } from "../../hypervisor/libvirt/firewall/tap-names.ts";
import { hostIdFileName } from "../identity.ts";

/**
 * Whether the kernel has the firewall of the orchestrator of this data directory, or of any where none ran yet: asking shows
 * that nft is there and may be used. Throws as the orchestrator would at its start.
 */
export async function isFirewallInPlace(dataDir: string): Promise<boolean> {
  const idFile = join(dataDir, hostIdFileName);
  const owner = existsSync(idFile) ? readFileSync(idFile, "utf8").trim() : "none yet";
  return (await listTables(tapPrefix(owner))) !== "";
}
