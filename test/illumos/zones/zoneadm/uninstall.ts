import { rmSync } from "node:fs";
import type { Context } from "../../host/context.ts";
import { exclusively } from "../../host/state.ts";
import { destroy } from "../../zfs/destroy.ts";
import { withLock } from "../lock.ts";
import { findZone, stateOf, updateZone } from "../records.ts";
import { zoneadmFailure } from "./failures.ts";
import { fileSystemAt } from "./install.ts";

/** zoneadm uninstall: back to `configured`, with the zonepath's file system destroyed. */
export async function uninstall(context: Context, name: string, args: readonly string[]): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  const state = stateOf(zone);
  if (state === "configured") throw zoneadmFailure(name, "is already in state 'configured'.");
  if (state !== "installed" && state !== "incomplete") {
    throw zoneadmFailure(name, `uninstall operation is invalid for ${state} zones.`);
  }
  if (!args.includes("-F")) {
    throw zoneadmFailure(name, "Input not from terminal and -F not specified: uninstall not done.");
  }
  await withLock(context, { kind: "zoneadm", zone: name }, async () => {
    exclusively(context.database, () => updateZone(context, name, { stored: "incomplete" }));
    context.halfway();
    const { zonepath } = zone.config;
    const dataset = fileSystemAt(context, zonepath);
    if (dataset) {
      destroy(context, dataset.name, { below: true, clones: false });
      context.out("The ZFS file system for this zone has been destroyed.");
    }
    rmSync(zonepath, { recursive: true, force: true });
    exclusively(context.database, () => updateZone(context, name, { stored: "configured" }));
  });
}
