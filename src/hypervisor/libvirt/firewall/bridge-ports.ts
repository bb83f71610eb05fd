import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../../../host/command.ts";

const interfacesDirectory = "/sys/class/net";
const deadlineSeconds = 30;

/**
 * Makes the bridge block a guest that sends frames of the spanning tree protocol. Such frames do not pass nftables, and
 * with `stp='on'`, libvirt's default, they would make the guest the root of the bridge, which decides how long the
 * ports of new guests stay silent. Ports that are already set are skipped.
 */
export async function closeToSpanningTree(taps: readonly { readonly name: string }[]): Promise<void> {
  for (const { name } of taps) {
    if ((await readPortFlags(name)) !== "0") continue;
    await runCommand("bridge", ["link", "set", "dev", name, "guard", "on"], { deadlineSeconds }).catch(
      async (error: unknown) => {
        // The guest may have ended meanwhile, and its tap with it.
        if ((await readPortFlags(name)) === "0") throw error;
      },
    );
  }
}

/** `0` or `1`; null when the port does not exist (any more). */
async function readPortFlags(tap: string): Promise<string | null> {
  const file = join(interfacesDirectory, tap, "brport", "bpdu_guard");
  return readFile(file, "utf8").then(
    (text) => text.trim(),
    () => null,
  );
}
