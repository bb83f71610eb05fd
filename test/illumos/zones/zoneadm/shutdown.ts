import { type Context, pause } from "../../host/context.ts";
import { killProcess, type ProcessIdentity, waitForEnd } from "../../host/processes.ts";
import { setting } from "../../host/state.ts";
import { pressPowerButton } from "../guest/qmp.ts";
import { tryLock, unlock, withLock } from "../lock.ts";
import { findZone, isLive } from "../records.ts";
import { tearDownEnded } from "../teardown.ts";
import { boot } from "./boot.ts";
import { zoneadmdFailure, zoneadmFailure } from "./failures.ts";

/** zoneadmd's time limit when SMF's zones service sets no other (SHUTDOWN_WAIT of zoneadmd.c). */
const defaultSeconds = 60;

/**
 * zoneadm shutdown: presses the guest's power button and waits, with a time limit, until the guest is off; -r boots
 * it again. Other commands may halt the zone meanwhile: zoneadmd's lock is not held during the wait.
 */
export async function shutdown(context: Context, name: string, args: readonly string[]): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  if (!isLive(zone) || zone.pid === null || zone.started === null) throw zoneadmFailure(name, "not running");
  const guest = { pid: zone.pid, started: zone.started };
  await withLock(context, { kind: "zoneadmd", zone: name }, async () => {
    if (!tryLock(context, "shutdown", name)) throw zoneadmdFailure(name, "shutdown already in progress");
    // A bhyve that still waits for its console has no power button yet: its process gets a signal to end.
    if (!(await pressPowerButton(context, name))) killProcess(guest, "SIGTERM");
  });
  try {
    await waitUntilOff(context, name, guest);
  } finally {
    unlock(context, "shutdown", name);
  }
  if (args.includes("-r")) await boot(context, name);
}

async function waitUntilOff(context: Context, name: string, guest: ProcessIdentity): Promise<void> {
  context.halfway();
  const seconds = Number(setting(context.database, "shutdownSeconds") ?? defaultSeconds);
  if (!(await waitForEnd(guest, seconds * 1000, (ms) => pause(context, ms))))
    throw zoneadmdFailure(name, "unable to shutdown zone");
  tearDownEnded(context);
}
