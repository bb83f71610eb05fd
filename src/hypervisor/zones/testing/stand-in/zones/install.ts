import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { exclusively } from "../host/state.ts";
import { createDataset } from "../zfs/create.ts";
import { allDatasets, type Dataset, findDataset } from "../zfs/datasets.ts";
import { mountpointOf } from "../zfs/properties.ts";
import { withZoneLock } from "./lock.ts";
import { findZone, stateOf, updateZone, type Zone } from "./records.ts";

/** zoneadm install: `incomplete` while the brand works, `installed` when it has; what fails stays incomplete. */
export async function install(context: Context, name: string): Promise<void> {
  await withZoneLock(context, name, async () => {
    const zone = findZone(context, name);
    if (!zone) return;
    checkState(zone);
    verifyZonepath(zone);
    exclusively(context.database, () => updateZone(context, name, { stored: "incomplete" }));
    makeZonepath(context, zone.config.zonepath);
    context.halfway();
    const { zonepath } = zone.config;
    for (const directory of ["root", "root/tmp", "log"])
      mkdirSync(join(zonepath, directory), { recursive: true });
    const uuid = zone.uuid || randomUUID();
    exclusively(context.database, () => updateZone(context, name, { stored: "installed", uuid }));
  });
}

function checkState(zone: Zone): void {
  const say = (text: string): never => {
    throw new CommandFailure(`zoneadm: zone '${zone.name}': ${text}`);
  };
  const state = stateOf(zone);
  if (state === "installed") say("is already installed.");
  if (state === "incomplete") say("zone is incomplete; uninstall required.");
  if (state !== "configured") say("install operation is invalid for running zones.");
}

/** What zoneadm asks of a zonepath before it installs. */
function verifyZonepath({ name, config: { zonepath } }: Zone): void {
  const parent = dirname(zonepath);
  if (!existsSync(parent)) return;
  if (!existsSync(zonepath)) return;
  if (readdirSync(zonepath).length > 0) {
    throw new CommandFailure(
      `${zonepath} exists and is not empty: remove contents or choose a different zonepath.\n` +
        `zoneadm: zone ${name} failed to verify`,
    );
  }
  if ((statSync(zonepath).mode & 0o077) !== 0) {
    throw new CommandFailure(
      `${zonepath} must not be group or other accessible.\ncould not verify zonepath ${zonepath} because of the above errors.\n` +
        `zoneadm: zone ${name} failed to verify`,
    );
  }
}

/** A zonepath directly below a file system's mountpoint becomes a file system of its own. */
function makeZonepath(context: Context, zonepath: string): void {
  const parent = fileSystemAt(context, dirname(zonepath));
  const dataset = parent && `${parent.name}/${basename(zonepath)}`;
  if (dataset && !findDataset(context, dataset)) {
    createDataset(context, { name: dataset, properties: [], volsize: null });
    context.out("A ZFS file system has been created for this zone.");
  } else {
    mkdirSync(zonepath, { recursive: true });
  }
  chmodSync(zonepath, 0o700);
}

/** The file system mounted at exactly this directory. */
export function fileSystemAt(context: Context, path: string): Dataset | undefined {
  return allDatasets(context).find((one) => one.type === "filesystem" && mountpointOf(context, one) === path);
}
