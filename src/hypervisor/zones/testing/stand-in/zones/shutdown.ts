import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { killProcess, waitForEnd } from "../host/processes.ts";
import { exclusively, setting } from "../host/state.ts";
import { boot } from "./boot.ts";
import { pressPowerButton } from "./qmp.ts";
import { findZone, isLive, updateZone } from "./records.ts";

/** What SMF gives the zones service to stop, from which zoneadmd takes its patience (svc:/system/zones). */
const defaultSeconds = 60;

/** zoneadm shutdown: presses the guest's power button and waits, bounded, until it is off; -r boots it again. */
export async function shutdown(context: Context, name: string, args: readonly string[]): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  if (!isLive(zone) || zone.pid === null || zone.started === null) {
    throw new CommandFailure(`zoneadm: zone '${name}': not running`);
  }
  const guest = { pid: zone.pid, started: zone.started };
  const seconds = Number(setting(context.database, "shutdownSeconds") ?? defaultSeconds);
  const isPressed = await pressPowerButton(context, name);
  // A bhyve that still waits for its console has no power button yet: its init is told to end.
  if (!isPressed) killProcess(guest, "SIGTERM");
  context.halfway();
  if (!(await waitForEnd(guest, seconds * 1000)))
    throw new CommandFailure(`zone '${name}': unable to shutdown zone`);
  exclusively(context.database, () =>
    updateZone(context, name, { id: null, pid: null, started: null, phase: null }),
  );
  if (args.includes("-r")) await boot(context, name);
}
