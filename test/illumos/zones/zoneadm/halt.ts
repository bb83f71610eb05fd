import { type Context, pause } from "../../host/context.ts";
import { killProcess, waitForEnd } from "../../host/processes.ts";
import { exclusively } from "../../host/state.ts";
import { withLock } from "../lock.ts";
import { findZone, isLive, stateOf, updateZone } from "../records.ts";
import { tearDown } from "../teardown.ts";
import { unmanageable, zoneadmdFailure } from "./failures.ts";

const killDeadlineMs = 30_000;

/** zoneadm halt: powers the guest off. */
export async function halt(context: Context, name: string): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  const state = stateOf(zone);
  if (state === "configured") throw unmanageable(name);
  if (state === "incomplete") {
    throw zoneadmdFailure(name, `halt operation is invalid for zones in state '${state}'`);
  }
  await withLock(context, { kind: "zoneadmd", zone: name }, async () => {
    if (!(await takePower(context, name))) context.err(`zone '${name}': zone is already halted`);
  });
}

/** Kills a zone's guest and tears the zone down; false when the zone is not running. */
export async function takePower(context: Context, name: string): Promise<boolean> {
  const zone = findZone(context, name);
  if (!zone || !isLive(zone) || zone.pid === null || zone.started === null) return false;
  exclusively(context.database, () => updateZone(context, name, { phase: "shutting_down" }));
  context.halfway();
  const guest = { pid: zone.pid, started: zone.started };
  killProcess(guest);
  if (!(await waitForEnd(guest, killDeadlineMs, (ms) => pause(context, ms))))
    throw zoneadmdFailure(name, "unable to destroy zone");
  exclusively(context.database, () => tearDown(context, zone));
  return true;
}
