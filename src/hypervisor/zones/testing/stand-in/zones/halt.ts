import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { killProcess, waitForEnd } from "../host/processes.ts";
import { exclusively } from "../host/state.ts";
import { withZoneLock } from "./lock.ts";
import { findZone, isLive, stateOf, updateZone } from "./records.ts";

const killDeadlineMs = 30_000;

/** zoneadm halt: takes the guest's power away. */
export async function halt(context: Context, name: string, { operation = "halt" } = {}): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  const state = stateOf(zone);
  if (state === "configured" || state === "incomplete") {
    throw new CommandFailure(
      `zone '${name}': ${operation} operation is invalid for zones in state '${state}'`,
    );
  }
  await withZoneLock(context, name, async () => {
    const now = findZone(context, name);
    if (!now || !isLive(now) || now.pid === null || now.started === null) {
      context.err(`zone '${name}': zone is already halted`);
      return;
    }
    exclusively(context.database, () => updateZone(context, name, { phase: "shutting_down" }));
    context.halfway();
    const guest = { pid: now.pid, started: now.started };
    killProcess(guest);
    if (!(await waitForEnd(guest, killDeadlineMs)))
      throw new CommandFailure(`zone '${name}': unable to halt zone`);
    exclusively(context.database, () =>
      updateZone(context, name, { id: null, pid: null, started: null, phase: null }),
    );
  });
}
