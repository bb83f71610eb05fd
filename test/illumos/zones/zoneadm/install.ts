import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Context } from "../../host/context.ts";
import { CommandFailure } from "../../host/failure.ts";
import { exclusively } from "../../host/state.ts";
import { createDataset } from "../../zfs/create.ts";
import { allDatasets, type Dataset, findDataset } from "../../zfs/datasets.ts";
import { mountpointOf } from "../../zfs/properties.ts";
import { withLock } from "../lock.ts";
import { findZone, stateOf, updateZone, type Zone } from "../records.ts";
import { zoneadmFailure } from "./failures.ts";
import { verifyZone } from "./verify.ts";

/**
 * zoneadm install: `incomplete` while the brand works, `installed` afterwards; after a failure the zone stays
 * incomplete.
 */
export async function install(context: Context, name: string): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  checkState(zone);
  verifyZone(context, zone, "install");
  await withLock(context, { kind: "zoneadm", zone: name }, async () => {
    exclusively(context.database, () => updateZone(context, name, { stored: "incomplete" }));
    makeZonepath(context, zone.config.zonepath);
    context.halfway();
    installBrand(zone);
    const uuid = zone.uuid || randomUUID();
    exclusively(context.database, () => updateZone(context, name, { stored: "installed", uuid }));
  });
}

/** sanity_check of zoneadm.c. */
function checkState(zone: Zone): void {
  const state = stateOf(zone);
  if (state === "configured") return;
  if (state === "installed") throw zoneadmFailure(zone.name, "is already installed.");
  if (state === "incomplete") throw zoneadmFailure(zone.name, "zone is incomplete; uninstall required.");
  throw zoneadmFailure(zone.name, `install operation is invalid for ${state} zones.`);
}

/** The zone's root and log, which the brand makes, without system files. */
function installBrand({ config: { zonepath } }: Zone): void {
  for (const directory of ["root", "root/tmp", "root/etc", "log"]) {
    mkdirSync(join(zonepath, directory), { recursive: true, mode: 0o755 });
  }
}

/**
 * Makes a zonepath directly below a file system's mountpoint a file system of its own; when that fails, zoneadm
 * prints it and uses the directory (create_zfs_zonepath of zfs.c).
 */
function makeZonepath(context: Context, zonepath: string): void {
  const parent = fileSystemAt(context, dirname(zonepath));
  const dataset = parent && `${parent.name}/${basename(zonepath)}`;
  if (!dataset || findDataset(context, dataset)) return;
  try {
    createDataset(context, { name: dataset, properties: [["sharenfs", "off"]], volsize: null });
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    context.err(
      `cannot create ZFS dataset ${dataset}: ${error.message.replace(/^cannot create '[^']*': /, "")}`,
    );
    return;
  }
  chmodSync(zonepath, 0o700);
  context.out("A ZFS file system has been created for this zone.");
}

/** The file system mounted at exactly this directory. */
export function fileSystemAt(context: Context, path: string): Dataset | undefined {
  return allDatasets(context).find((one) => one.type === "filesystem" && mountpointOf(context, one) === path);
}
