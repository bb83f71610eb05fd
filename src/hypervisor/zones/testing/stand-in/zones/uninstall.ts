import { rmSync } from "node:fs";
import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { exclusively } from "../host/state.ts";
import { destroy } from "../zfs/destroy.ts";
import { fileSystemAt } from "./install.ts";
import { withZoneLock } from "./lock.ts";
import { findZone, stateOf, updateZone } from "./records.ts";

/** zoneadm uninstall: back to `configured`, with the zonepath's file system destroyed. */
export async function uninstall(context: Context, name: string, args: readonly string[]): Promise<void> {
  const say = (text: string): never => {
    throw new CommandFailure(`zoneadm: zone '${name}': ${text}`);
  };
  const zone = findZone(context, name);
  if (!zone) return;
  const state = stateOf(zone);
  if (state === "configured") say("is already in state 'configured'.");
  if (state !== "installed" && state !== "incomplete")
    say("uninstall operation is invalid for running zones.");
  if (!args.includes("-F")) say("Input not from terminal and -F not specified: uninstall not done.");
  await withZoneLock(context, name, async () => {
    exclusively(context.database, () => updateZone(context, name, { stored: "incomplete" }));
    context.halfway();
    const { zonepath } = zone.config;
    const dataset = fileSystemAt(context, zonepath);
    if (dataset) destroy(context, dataset.name, { below: true, clones: false });
    rmSync(zonepath, { recursive: true, force: true });
    exclusively(context.database, () => updateZone(context, name, { stored: "configured" }));
  });
}
