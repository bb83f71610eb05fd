import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { removeTables } from "../../../src/hypervisor/libvirt/firewall/nft.ts";
import { tapPrefix } from "../../../src/hypervisor/libvirt/firewall/tap-names.ts";

/** The id of the orchestrator that used this data directory; null when none did. */
export function ownerOf(dataDir: string): string | null {
  const file = join(dataDir, "host-id");
  return existsSync(file) ? readFileSync(file, "utf8").trim() : null;
}

/** Removes the firewall of a killed orchestrator if there is one: no other code would remove it. */
export async function removeFirewallOf(dataDir: string): Promise<void> {
  const owner = ownerOf(dataDir);
  if (owner !== null && firewallTables(owner).length > 0) await removeTables(tapPrefix(owner));
}

/** The kernel's tables of that owner, such as `bridge solstice_sol012345`; empty on a host without nft. */
export function firewallTables(owner: string): string[] {
  try {
    const text = execFileSync("nft", ["list", "tables"], { encoding: "utf8" });
    const tables = text.split("\n").map((line) => line.replace(/^table /, ""));
    return tables.filter((table) => table.endsWith(`solstice_${tapPrefix(owner)}`));
  } catch {
    return [];
  }
}
